"""The rows of a file of signals with their classes, and which of them are for the test."""

import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from darts_lite.data.class_balance import list_names
from darts_lite.data.labelled_data import LoadedItems
from darts_lite.data.labelled_files import HeldOut
from darts_lite.data.signals.signal_files import (
    Part,
    Rows,
    cut_end,
    describe_gap,
    find_gaps,
    fit_length,
    join_rows,
    order_channels,
    read_parts,
)
from darts_lite.data.splits import split_test


@dataclass(frozen=True)
class SignalTable:
    """The rows of a file.

    Args:
        path: The file.
        rows: Values, NaN behind the end of a row, ``(N, C, T)``.
        labels: Class of each row, as a text.
        groups: Group of each row, as a text; empty without groups.
        tested: Which rows are for the test ``(N,)``.
        chosen: Whether these were chosen here, and the file does not name them.
        channels: Names of the channels; empty if the file has none.
    """

    path: Path
    rows: Rows
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    tested: Tensor
    chosen: bool
    channels: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the training rows: numbers by their size, texts by letters."""
        pairs = zip(self.labels, self.tested.tolist(), strict=True)
        return sort_names({label for label, is_tested in pairs if not is_tested})

    @property
    def longest(self) -> int:
        """The largest number of values of a row."""
        return int(np.flatnonzero(np.isfinite(self.rows).any(axis=(0, 1)))[-1]) + 1

    def order(self, channels: Sequence[str]) -> "SignalTable":
        """Returns the same rows with their channels in this order; see `order_channels`."""
        rows = order_channels(self.path, self.rows, self.channels, channels)
        return replace(self, rows=rows, channels=tuple(channels or self.channels))

    @property
    def digests(self) -> list[str]:
        """A short text for what each row holds, up to its end."""
        pairs = zip((cut_end(row) for row in self.rows), self.labels, strict=True)
        return [sha256(row.tobytes() + label.encode()).hexdigest()[:16] for row, label in pairs]

    def keep(self, tested: Sequence[str]) -> "SignalTable":
        """Returns the same rows, those with these digests for the test, and all others not.

        Where the file names its test rows, nothing changes. Raises ValueError if one is gone.
        """
        if not (self.chosen and tested):
            return self
        digests, wanted = self.digests, set(tested)
        if [digests[place] for place in self.tested.nonzero().flatten()] == [*tested]:
            return self
        if absent := wanted.difference(digests):
            raise ValueError(
                f"{self.path} has changed: of the {len(wanted)} different signals that the net's "
                f"run kept for its test, {len(absent)} cannot be found, and others may be its "
                "training signals; restore the file, or give signals that the net has not seen as "
                "test_x of another data.dataset"
            )
        return replace(self, tested=torch.tensor([digest in wanted for digest in digests]))

    def load(self, length: int) -> LoadedItems:
        """Returns the rows as items ``(N, C, length)``, cut or with their last value repeated."""
        names = {name: number for number, name in enumerate(self.classes)}
        labels = torch.tensor([names[label] for label in self.labels])
        rows = torch.from_numpy(fit_length(self.rows, length))
        numbers = {name: number for number, name in enumerate(sorted({*self.groups}))}
        groups = torch.tensor([numbers[name] for name in self.groups]) if numbers else None
        train, test = ~self.tested, self.tested
        digests, places = self.digests, test.nonzero().flatten().tolist()
        trained = {digests[place] for place in train.nonzero().flatten().tolist()}
        held = HeldOut(
            tuple(f"row {place + 1}" for place in places),
            tuple(digests[place] for place in places),
            self.chosen,
            sum(digests[place] in trained for place in places),
        )
        return LoadedItems(
            *(rows[train], labels[train], rows[test], labels[test]),
            f"signals in {self.path.name}",
            held,
            None if groups is None else groups[train],
        )


def read_table(path: Path) -> SignalTable:
    """Reads a file of signals; raises FileNotFoundError, or ValueError for any other fault."""
    table = _join(path, read_parts(path))
    if len(gaps := find_gaps(table.rows)):
        raise describe_gap(path, gaps[0])
    _check_labels(table)
    return table


def sort_names(names: Collection[str]) -> tuple[str, ...]:
    """Returns names sorted: whole numbers by their size, all else by letters."""
    if all(re.fullmatch(r"-?\d{1,18}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _join(path: Path, parts: Sequence[Part]) -> SignalTable:
    """Makes one table of the parts, and chooses test rows where the file names none."""
    rows = join_rows(path, parts)
    labels = tuple(label for part in parts for label in part.labels)
    groups = tuple(group for part in parts for group in part.groups)
    if len(labels) != len(rows):
        raise ValueError(f"{path} has no labels; give y, or in a csv file a column label")
    if len(groups) not in (0, len(rows)):
        raise ValueError(f"{path} tells groups of some rows only; tell those of all, or of none")
    given = [flag for part in parts for flag in part.is_test or ()]
    tested = torch.tensor(given) if given else _choose_test(labels, groups)
    channels = parts[0].channels
    return SignalTable(path, rows, labels, groups, tested, not given, channels)


def _choose_test(labels: Sequence[str], groups: Sequence[str]) -> Tensor:
    """Returns which rows are for the test, as flags (N,), where nothing names them."""
    classes, numbers = sort_names({*labels}), sorted({*groups})
    targets = torch.tensor([classes.index(label) for label in labels], dtype=torch.int64)
    tested = torch.zeros(len(labels), dtype=torch.bool)
    if labels:
        grouped = torch.tensor([numbers.index(group) for group in groups]) if groups else None
        _, test = split_test(targets, grouped)
        tested[test] = True
    return tested


def _check_labels(table: SignalTable) -> None:
    """Raises ValueError if labels or groups cannot be used."""
    path, tested = table.path, table.tested.tolist()
    if wrong := [name for name in table.labels if not (name and name.isprintable())]:
        raise ValueError(f"{path} has the label {wrong[0]!a}, which cannot be printed; change it")
    if "" in table.groups:
        raise ValueError(
            f"{path}: signal {table.groups.index('') + 1} has no group; tell those of all, or of "
            "none"
        )
    if len(table.classes) < 2:
        raise ValueError(
            f"{path} has training signals of {list_names(table.classes) or 'no class'} alone; it "
            "must have two classes or more"
        )
    if not any(tested):
        raise ValueError(f"{path} has no test signal; add some")
    sides = [
        {name for name, is_tested in zip(table.labels, tested, strict=True) if is_tested is side}
        for side in (False, True)
    ]
    if unknown := sides[1] - sides[0]:
        raise ValueError(
            f"{path} has test signals of {list_names(sort_names(unknown))}, and no training signal "
            "of it; add some, or leave the class out"
        )
    if untested := sides[0] - sides[1]:
        warnings.warn(
            f"{path} has no test signal of {list_names(sort_names(untested))}; its accuracy stays "
            "unknown",
            stacklevel=2,
        )
    pairs = [*zip(table.groups, tested, strict=False)]
    both = {g for g, is_tested in pairs if is_tested} & {
        g for g, is_tested in pairs if not is_tested
    }
    if both:
        raise ValueError(
            f"{path}: the groups {list_names(sorted(both))} have signals in training and test; "
            "give each group whole to one of them"
        )
