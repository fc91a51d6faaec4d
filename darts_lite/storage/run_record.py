"""Keeps the summary of a run, from which a resumed run knows the finished stages."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple

from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.event_files import measure_events, read_sizes
from darts_lite.storage.paths import is_there, read_content, reading
from darts_lite.storage.run_folder import RunFolder, find_last_checkpoint

NUMBERS = (
    "params",
    "macs",
    "memory",
    "flash",
    "arena",
    "file",
    "updated",
    "agreement",
    "agreement_by_chance",
    "control_percentile",
    "milliseconds_per_image_in_batches_of_1",
)
TEXTS = (
    *("algorithm", "architecture", "control", "data_source", "dataset", "device", "executor"),
    "precision",
)


class Score(NamedTuple):
    """The figure that tells how good a net is.

    Attributes:
        word: What stands for it in the names of entries and tags, as ``test_<word>``.
        name: What it is.
        larger_is_better: Which of two nets is the better one.
    """

    word: str
    name: str
    larger_is_better: bool

    @property
    def sign(self) -> int:
        """The factor with which a larger figure is a better one."""
        return 1 if self.larger_is_better else -1

    @property
    def of_test(self) -> str:
        """The entry of a summary for the net that was found."""
        return f"test_{self.word}"

    @property
    def of_rivals(self) -> str:
        """The entry of a summary for its rivals, a list."""
        return "control_test_accuracies" if self == ACCURACY else "control_test_scores"

    def tell(self, value: float | None) -> str:
        """Returns a figure as a text, accuracies in per cent."""
        if value is None:
            return "-"
        return f"{100 * value:.2f} %" if self == ACCURACY else f"{value:.5g}"

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> "Score":
        """Returns the figure that a run has measured; accuracy if its summary names no other."""
        held = summary.get("score")
        return ACCURACY if held is None else cls("score", held["name"], held["larger_is_better"])

    def to_dict(self) -> dict[str, Any] | None:
        """Returns the entry ``score`` of a summary."""
        kept = {"name": self.name, "larger_is_better": self.larger_is_better}
        return None if self == ACCURACY else kept


ACCURACY = Score("accuracy", "accuracy", True)
"""The share of right answers, where nets tell classes apart."""


UNTESTED = (
    "none of these runs has a test accuracy; let one finish first (plain compare shows the scores "
    "of tasks of your own)"
)
"""What is said where accuracies are asked for and there are none."""


class Halted(OSError):
    """Raised when a file cannot be written; the message says from where the run can go on."""


class RunRecord:
    """The summary of a run, or of a part of one, written after each of its stages.

    A summary in the folder is continued. Of several processes only one `writes`.
    """

    def __init__(self, folder: RunFolder, writes: bool = True) -> None:
        self.folder, self.writes = folder, writes
        self.summary: dict[str, Any] = read_summary(folder)

    @property
    def events(self) -> dict[str, int] | None:
        """Sizes of the event files when the last stage ended; None in runs of earlier versions."""
        return read_sizes(self.summary.get("events"))

    def begin(self, known: Mapping[str, Any]) -> None:
        """Writes the values that are known before the first stage; earlier results stay."""
        state: dict[str, Any] = {"stages": self.summary.get("stages", []), "finished": False}
        if not self.summary:
            state["events"] = measure_events(self.folder.path)
        self.summary = {**known, **self.summary, **state}
        self._write()

    def stage(
        self, name: str, run: Callable[[], Mapping[str, Any]], leaves: Sequence[Path] = ()
    ) -> None:
        """Runs a stage and writes its results, unless it is finished and all it `leaves` is there.

        Raises:
            Halted: if a file cannot be written, for example on a full disk.
        """
        if name in self.summary["stages"] and all(map(is_there, leaves)):
            return
        with halting(self.folder.path):
            results = run()
            stages = list(dict.fromkeys([*self.summary["stages"], name]))
            events = measure_events(self.folder.path)
            self.summary |= {**results, "stages": stages, "events": events}
            self._write()

    def finish(self) -> None:
        """Marks the run as finished and writes its summary."""
        self.summary["finished"] = True
        self._write()

    def _write(self) -> None:
        if self.writes:
            write_text(self.folder.summary, json.dumps(self.summary, indent=2) + "\n")


@contextmanager
def halting(directory: Path) -> Iterator[None]:
    """Raises Halted for an error of the file system; tells in one line where a run can go on."""
    try:
        yield
    except (BrokenPipeError, Halted):
        raise
    except (OSError, ValueError) as error:
        # TensorBoard's logger raises a ValueError whose cause is the error of its file.
        failure = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(failure, OSError):
            raise
        newest = find_last_checkpoint(directory)
        start = "from the start, as nothing is saved"
        if newest is not None:
            told = str(newest) in str(failure)
            start = "from it" if told else f"from {newest}, which is intact"
        raise Halted(f"{failure}; once fixed, --run.resume auto goes on {start}") from error


def read_summary(folder: RunFolder) -> dict[str, Any]:
    """Returns the summary of a run; an empty one if there is none, or it is damaged.

    Raises:
        OSError: if it is there and cannot be read.
        ValueError: if it has values that no run writes.
    """
    if not is_there(folder.summary):
        return {}
    with reading(folder.summary):
        content = read_content(folder.summary)
    try:
        summary = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(summary, dict):
        return {}
    for name, value in summary.items():
        if value is not None and not _is_possible(name, value):
            raise ValueError(
                f"{folder.summary} has been changed: {name} is {short(value)}; restore the value "
                "that the run wrote"
            )
    return summary


def _is_possible(name: str, value: Any) -> bool:
    """Returns whether a run may write a value under this name; names of others are free."""
    if name in NUMBERS or name.endswith(("_seconds", "_accuracy", "_score", "_images")):
        return _is_number(value)
    if name in LISTS:
        return isinstance(value, list) and all(map(LISTS[name], value))
    if name == "score":
        wanted = {"name": str, "larger_is_better": bool}
        return isinstance(value, dict) and {n: type(v) for n, v in value.items()} == wanted
    if name == "control_interval":
        return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    return isinstance(value, str if name in TEXTS else bool if name == "finished" else object)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and not abs(value) >= 2**63


LISTS: Mapping[str, Callable[[Any], bool]] = {
    "stages": lambda value: isinstance(value, str),
    "seeds": _is_number,
    "control_test_accuracies": _is_number,
    "control_test_scores": _is_number,
    "control_names": lambda value: isinstance(value, str),
    "class_names": lambda value: isinstance(value, str) and value.isprintable(),
}
"""Entries of a summary that are lists, with what their values must be."""
