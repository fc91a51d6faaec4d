"""Reads tables of signals, a row each: npz files of numpy, and csv files.

An npz file holds ``train_x`` ``(N, C, T)``, ``train_y`` ``(N,)``, ``test_x`` and ``test_y``; or
``x`` and ``y``, of which a sixth is kept for the test. One channel may be ``(N, T)``. Labels are
whole numbers or texts. ``groups``, or ``train_groups`` and ``test_groups``, ``(N,)`` tell what must
not be split.

A csv file has a line for each signal: a column ``label``, perhaps ``part`` with ``train`` or
``test``, perhaps ``group``, and a column for each value. Columns whose names end in a number,
as ``<channel>_<number>`` or the number alone, are sorted by it, and those of one ``<channel>`` are
a channel; names without numbers are one channel in their order. NaN, or an empty cell, at the end
of a row means that it is shorter.
"""

import csv
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_lite.data.class_balance import list_names
from darts_lite.data.file_lists import FileKind
from darts_lite.storage.paths import read_content

ENDINGS = (".npz", ".csv")
SIGNALS = FileKind("signal", lambda: {*ENDINGS})
LONGEST = 100_000
"""Largest number of values of a row."""
MOST_CHANNELS = 4096
MOST_BYTES = 2**32
"""Largest number of bytes in an npz file, unpacked."""
KNOWN = ("label", "part", "group")
"""Columns of a csv file that are no values."""
PARTS = ("train", "test")
WITHOUT_PARTS = ("x", "y", "groups")
"""Arrays of an npz file that names no test rows; ``train_x`` and so on are those of the others."""
NUMBERED = re.compile(r"(?:(.*?)_)?(-?\d+(?:\.\d+)?)|(.*?\D)(\d+)")
"""Names of columns: ``<channel>_<number>`` or a number alone, perhaps with sign and decimals; or
``<channel><number>``."""
READING_ERRORS = (
    *(OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, csv.Error),
)
"""What the libraries raise for a file that is not what it seems."""
Rows = NDArray[np.float32]


def read_rows(path: Path, names: Sequence[str] = ()) -> tuple[Rows, tuple[str, ...]]:
    """Returns the rows of a file, NaN behind their ends, and their labels if it has any.

    Their channels come in the order of the ``names``. Raises what `read_table` raises, but for
    values that are missing.
    """
    parts = read_parts(path)
    rows = order_channels(path, join_rows(path, parts), parts[0].channels, names)
    labels = tuple(label for part in parts for label in part.labels)
    return rows, labels if len(labels) == len(rows) else ()


def order_channels(path: Path, rows: Rows, found: Sequence[str], wanted: Sequence[str]) -> Rows:
    """Returns rows ``(N, C, T)`` with their channels as wanted; as they are, if one has no names.

    Warns if the file has several channels without names. Raises ValueError if the names are others.
    """
    if not found and len(wanted) > 1:
        warnings.warn(
            f"{path} names no channels: they are taken to be {list_names(wanted)}, in this order",
            stacklevel=2,
        )
    if not (found and wanted) or [*found] == [*wanted]:
        return rows
    if sorted(found) != sorted(wanted):
        raise ValueError(
            f"{path} has the channels {list_names(found)}, and this net takes {list_names(wanted)}"
        )
    return rows[:, [found.index(name) for name in wanted]]


def read_parts(path: Path) -> list["Part"]:
    """Reads what a file holds, unchecked but for its form; raises what `read_table` raises."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(
            f"{path} is no {' or '.join(ENDINGS)} file; name an npz file with x and y, or a csv "
            "file with a column label and one for each value"
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; name an npz or csv file of signals")
    try:
        return _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)
    except READING_ERRORS as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{path} cannot be read as a table of signals ({reason})") from None


def fit_length(rows: Rows, length: int) -> Rows:
    """Cuts rows ``(N, C, T)`` to a length, or repeats the last value of each channel up to it."""
    cut = rows[:, :, :length]
    ends = np.isfinite(cut).sum(axis=2, keepdims=True)  # (N, C, 1)
    places = np.minimum(np.arange(length), ends - 1)  # (N, C, length)
    return np.ascontiguousarray(np.take_along_axis(cut, places, axis=2))


def cut_end(row: Rows) -> Rows:
    """Returns a row ``(C, T)`` without what is NaN in all channels at its end."""
    known = np.flatnonzero(~np.isnan(row).all(axis=0))
    return row[:, : known[-1] + 1] if len(known) else row[:, :0]


@dataclass(frozen=True)
class Part:
    """Rows of one part.

    Attributes:
        rows: Values ``(N, C, T)``.
        labels: Class of each row; empty where the file does not tell it.
        groups: Group of each row, likewise.
        is_test: Whether each is for the test; None where the file does not tell it.
        channels: Names of the channels, likewise.
    """

    rows: Rows
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    is_test: tuple[bool, ...] | None
    channels: tuple[str, ...] = ()


def _read_npz(path: Path) -> list[Part]:
    with zipfile.ZipFile(path) as archive:
        if (size := sum(entry.file_size for entry in archive.infolist())) > MOST_BYTES:
            raise ValueError(f"{path} holds {size:,} bytes; {MOST_BYTES:,} are the most")
    with np.load(path, allow_pickle=False) as content:
        names = {*content.files}
        named = {f"{part}_{name}" for part in PARTS for name in WITHOUT_PARTS}
        if {"train_x", "train_y", "test_x", "test_y"} <= names <= named:
            return [_read_arrays(path, content, f"{part}_", part == "test") for part in PARTS]
        if "x" in names <= {*WITHOUT_PARTS}:
            return [_read_arrays(path, content, "", None)]
    raise ValueError(
        f"{path} holds {list_names(sorted(names)) or 'nothing'}; it must hold train_x, train_y, "
        "test_x and test_y, perhaps train_groups and test_groups; or x and y, perhaps groups; and "
        "nothing else"
    )


def _read_arrays(path: Path, content: Mapping[str, Any], front: str, is_test: bool | None) -> Part:
    """Reads one part of an npz file, whose names begin with ``front``."""
    values = content[f"{front}x"]
    labels = content.get(f"{front}y")
    if values.dtype.kind not in "iufb" or values.ndim not in (2, 3):
        raise ValueError(
            f"{path}: {front}x must be numbers (rows, channels, values), it is "
            f"{values.dtype} {values.shape}"
        )
    if labels is not None and not (
        labels.dtype.kind in "iubUS" and labels.shape == values.shape[:1]
    ):
        raise ValueError(
            f"{path}: {front}y must be {len(values)} whole numbers or texts, one for each row, it "
            f"is {labels.dtype} {labels.shape}"
        )
    groups = content.get(f"{front}groups")
    if groups is not None and not (
        groups.dtype.kind in "iubUS" and groups.shape == values.shape[:1]
    ):
        raise ValueError(
            f"{path}: {front}groups must be {len(values)} whole numbers or texts, one for each "
            f"row, it is {groups.dtype} {groups.shape}"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused later
        rows = values.reshape(len(values), *(values.shape[1:-1] or (1,)), values.shape[-1]).astype(
            np.float32
        )
    given = None if is_test is None else (is_test,) * len(rows)
    return Part(rows, _to_texts(labels), _to_texts(groups), given)


def _to_texts(values: NDArray[Any] | None) -> tuple[str, ...]:
    if values is None:
        return ()
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return tuple(str(value).strip(" ") for value in values.tolist())


def _read_csv(path: Path) -> list[Part]:
    lines = csv.reader(io.StringIO(_decode(path, read_content(path)), newline=""))
    header = [name.strip() for name in next(lines, [])]
    if not header or len({*header}) != len(header):
        raise ValueError(
            f"{path}: the first line must name the columns, each once; it is "
            f"{short(','.join(header))}"
        )
    numbered = [(lines.line_num, line) for line in lines if any(cell.strip() for cell in line)]
    cells = [line for _, line in numbered]
    if len(header) == 1 and (mark := re.search("[;\t|]", header[0])):
        raise ValueError(f"{path}: cells must be separated by commas, and not by {mark[0]!r}")
    if wrong := [number for number, line in numbered if len(line) != len(header)]:
        raise ValueError(f"{path}: line {wrong[0]} does not have {len(header)} columns")
    places = {name: header.index(name) for name in KNOWN if name in header}
    told = {name: tuple(line[at].strip() for line in cells) for name, at in places.items()}
    if strange := {*told.get("part", ())} - {*PARTS}:
        raise ValueError(f"{path}: part must be train or test, got {sorted(strange)[0]!r}")
    columns = _order_columns(path, [name for name in header if name not in KNOWN])
    if not columns:
        raise ValueError(f"{path} has no column of values; add some beside {list_names(header)}")
    rows = np.empty((len(cells), *np.shape([*columns.values()])), np.float32)
    order = [header.index(name) for channel in columns.values() for name in channel]
    for place, (number, line) in enumerate(numbered):
        values = [_to_number(path, number, header[at], line[at].strip()) for at in order]
        with np.errstate(over="ignore"):  # what becomes infinite is refused later
            rows[place] = np.array(values, np.float64).reshape(rows.shape[1:])
    is_test = tuple(part == "test" for part in told["part"]) if "part" in told else None
    channels = tuple(columns) if len(columns) > 1 else ()
    return [Part(rows, told.get("label", ()), told.get("group", ()), is_test, channels)]


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not in UTF-8; save it in this encoding") from None


def _to_number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        raise ValueError(
            f"{path}: line {line} has {short(cell)} in the column {column!r}, which is no number; "
            f"columns that are no values are called {', '.join(KNOWN)}, and all others have "
            "numbers, or empty cells behind the end of a row"
        ) from None


def _order_columns(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the columns of each channel in the order of time; one without a name has none."""
    found = {name: NUMBERED.fullmatch(name) for name in names}
    numbered = any(found.values())
    near = [name for name in names if name.lower().rstrip("s") in KNOWN]
    if strange := near or [name for name, match in found.items() if numbered and not match]:
        raise ValueError(
            f"{path} has the column {strange[0]!r}, which is none of {', '.join(KNOWN)}, and no "
            "value, as <channel>_<number> or <number> would be; rename it, or leave it out"
        )
    channels: dict[str, list[tuple[float, str]]] = {}
    for place, (name, match) in enumerate(found.items()):
        key, number = _split_name(match) if match else ("", float(place))
        channels.setdefault(key, []).append((number, name))
    if unsure := [key for key in channels if re.search(r"\d\.$", key) or f"{key}-" in channels]:
        raise ValueError(
            f"{path}: whether {channels[unsure[0]][0][1]!r} has a sign or decimals cannot be told; "
            "name the columns <channel>_<number>"
        )
    for each in channels.values():
        each.sort()
        steps = [after - before for (before, _), (after, _) in pairwise(each)]
        whole = all(number.is_integer() for number, _ in each)
        usual = 1.0 if whole else min(steps, default=1.0)
        pairs = zip(each[1:], steps, strict=True)
        gaps = [name for (_, name), step in pairs if not usual / 2 < step < 1.5 * usual]
        if gaps:
            raise ValueError(
                f"{path}: numbers of columns must follow one another, and {gaps[0]!r} does not "
                "follow the one before; number them anew"
            )
    if len({len(each) for each in channels.values()}) > 1:
        counts = list_names([f"{name} ({len(each)})" for name, each in channels.items()])
        raise ValueError(f"{path}: all channels must have as many columns; they have {counts}")
    return {channel: [name for _, name in each] for channel, each in channels.items()}


def _split_name(match: re.Match[str]) -> tuple[str, float]:
    """Returns the channel and the number of a column's name that `NUMBERED` matches."""
    channel, number, other, plain = match.groups()
    return (channel or "", float(number)) if plain is None else (other, float(plain))


def join_rows(path: Path, parts: Sequence[Part]) -> Rows:
    """Returns the rows of all parts, with NaN behind the shorter ones, ``(N, C, T)``.

    Raises ValueError if there are too many values or none.
    """
    if len({part.rows.shape[1] for part in parts}) > 1:
        raise ValueError(f"{path}: train_x and test_x must have as many channels")
    longest = max(part.rows.shape[2] for part in parts)
    rows = [part.rows for part in parts]
    empty = ((0, 0), (0, 0))
    joined = np.concatenate(
        [
            np.pad(each, (*empty, (0, longest - each.shape[2])), constant_values=np.nan)
            for each in rows
        ]
    )
    count, channels, length = joined.shape
    if not (count and 1 <= length <= LONGEST and 1 <= channels <= MOST_CHANNELS):
        raise ValueError(
            f"{path} has {count} signals of {channels} channels and {length} values; it must have "
            f"some, of at most {MOST_CHANNELS} channels and {LONGEST:,} values"
        )
    return joined


def find_gaps(rows: Rows) -> NDArray[np.intp]:
    """Returns row, channel and place of each value that is missing or infinite, ``(K, 3)``."""
    finite = np.isfinite(rows)
    # Where a value follows in any channel, the row goes on.
    goes_on = np.maximum.accumulate(np.any(finite, axis=1)[:, ::-1], axis=1)[:, ::-1]  # (N, T)
    goes_on[:, 0] = True
    return np.argwhere((goes_on[:, None] & ~finite) | np.isinf(rows))


def describe_gap(path: Path, gap: NDArray[np.intp]) -> ValueError:
    """Returns the error of a value that is missing, at one of the places of `find_gaps`."""
    row, channel, place = (number + 1 for number in gap.tolist())
    return ValueError(
        f"{path}: value {place} of channel {channel} in row {row} is NaN, or infinite in 32 "
        "bits; fill it in, or leave the row out (NaN in all channels at the end means that a "
        "row is shorter)"
    )
