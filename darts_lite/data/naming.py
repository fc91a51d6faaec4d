"""Reads from the paths of files their class, their group, and whether they are for the test."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from darts_lite.storage.paths import read_content

COLUMNS = ("file", "group")  # of a table of groups


class Naming(NamedTuple):
    """Regular expressions for what the paths of files inside a folder tell of them."""

    class_by: str | None = None
    """Its first parentheses are the class; None takes the name of the folder."""
    group_by: str | None = None
    """Its first parentheses are the group; or a csv file in the folder, see `COLUMNS`."""
    test_by: str | None = None
    """Finds the files of the test."""

    def check(self) -> None:
        """Raises ValueError if one is no regular expression, or has no parentheses."""
        for name, pattern in self._asdict().items():
            if pattern is None or name == "group_by" and _is_table(pattern):
                continue
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(
                    f"{name} must be a regular expression, got {pattern!r} ({error})"
                ) from None
            if name != "test_by" and not groups:
                raise ValueError(
                    f"{name} must have parentheses around what it tells, as in "
                    f"'([a-z]+)_[0-9]+', got {pattern!r}"
                )

    def find_class(self, place: str) -> str | None:
        """Returns the class that a path inside the folder tells; None if it tells none."""
        return None if self.class_by is None else _search(self.class_by, place)

    def find_groups(self, folder: Path, paths: Sequence[Path]) -> dict[Path, str]:
        """Returns the group of each file, from a pattern or a table; ValueError if one has none."""
        told = self.group_by or "()"
        places = {path: path.relative_to(folder).as_posix() for path in paths}
        if _is_table(told):
            table = _read_groups(folder / told)
            groups = {path: table.get(place) for path, place in places.items()}
        else:
            groups = {path: _search(told, place) for path, place in places.items()}
        known = {path: group for path, group in groups.items() if group}
        if absent := [place for path, place in places.items() if path not in known]:
            raise ValueError(
                f"group_by {told!r} tells no group of {len(absent)} of {len(paths)} files, "
                f"{absent[0]} for one, as their paths inside the folder are; change it"
            )
        return known


BY_FOLDER = Naming()


def _read_groups(path: Path) -> dict[str, str]:
    """Reads a csv file with the columns ``file``, a path inside the folder, and ``group``."""
    try:
        lines = csv.DictReader(read_content(path).decode("utf-8-sig").splitlines())
        rows = list(lines)
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"group_by: cannot read the table {path} ({error}); give a csv file with the columns "
            f"{' and '.join(COLUMNS)}"
        ) from None
    if missing := [name for name in COLUMNS if name not in (lines.fieldnames or ())]:
        raise ValueError(f"group_by: {path} has no column {missing[0]!r}; name {COLUMNS}")
    table: dict[str, str] = {}
    for row in rows:
        name, group = row["file"], (row["group"] or "").strip()
        if table.setdefault(name, group) != group:
            raise ValueError(
                f"group_by: {path} has two groups of {name}, {table[name]} and {group}; leave one "
                "of them"
            )
    return table


def _search(pattern: str, name: str) -> str | None:
    found = re.search(pattern, name)
    return (found and found.group(1)) or None


def _is_table(told: str) -> bool:
    return told.lower().endswith(".csv")
