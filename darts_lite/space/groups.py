"""The words of every kind of space: groups of choices, what was chosen, and pictures of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from random import Random
from typing import Any

from torch import Tensor

Kept = tuple[tuple[tuple[str, int], ...], ...]
"""What is chosen of one group: for each of its sets, the kept rows with their options, as
``(option, row)``. In cells: for each node, its edges."""
Choices = Mapping[str, Kept]
"""Name of a group -> what is chosen of it."""
Point = tuple[int, ...]
"""The index of the chosen option, for each choice."""


@dataclass(frozen=True)
class Group:
    """Choices with the same options; their alphas, mixing weights and shares are one matrix.

    The matrix is ``(rows, options)``. Rows come in sets. Each set keeps some of its rows, and each
    kept row has one option. In cells a row is an edge, an option is a candidate, and a set is a
    node.

    Args:
        title: Name of the group in drawings.
        rows: Labels of the rows in drawings, in which ``$`` encloses mathematical symbols.
        options: Names of the options. ``none`` cuts a row off.
        sets: Number of rows of each set, in the order of the rows.
        kept: Number of rows that each set keeps; None keeps all, which may then be ``none``.
        mixes: False if what the options return cannot be added, so that one is drawn at a time.
    """

    title: str
    rows: tuple[str, ...]
    options: tuple[str, ...]
    sets: tuple[int, ...]
    kept: int | None = None
    mixes: bool = True

    @cached_property
    def selectable(self) -> tuple[int, ...]:
        """Positions of the options that a kept row may have."""
        names = enumerate(self.options)
        return tuple(i for i, name in names if name != "none" or self.kept is None)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of options."""
        return len(self.rows), len(self.options)

    @cached_property
    def row_sets(self) -> tuple[tuple[str, ...], ...]:
        """Labels of the rows of each set."""
        rows = iter(self.rows)
        return tuple(tuple(islice(rows, size)) for size in self.sets)

    def split(self, matrix: Tensor) -> tuple[Tensor, ...]:
        """Returns the rows of each set of a ``(rows, ...)`` tensor, as views."""
        return matrix.split(list(self.sets))

    def kept_rows(self, size: int) -> Iterator[tuple[int, ...]]:
        """Yields the sets of rows that may be kept of `size` rows."""
        return combinations(range(size), size if self.kept is None else self.kept)

    @cached_property
    def decisions(self) -> tuple[tuple[Sequence[Any], ...], ...]:
        """For each set: which rows to keep, then the option of each of these."""
        names = [self.options[position] for position in self.selectable]
        return tuple(
            (tuple(self.kept_rows(size)), *[names] * (size if self.kept is None else self.kept))
            for size in self.sets
        )


@dataclass(frozen=True)
class Diagram:
    """A part of an architecture as a graph, for drawings and comparisons.

    Args:
        title: Name of the part.
        states: Names of the states: first the inputs, then one for each entry of `edges`.
        edges: For each state behind the inputs, what it reads: ``(operation, index of a state)``.
        output: Indices of the states that make up the output.
        end: Name of the output.
    """

    title: str
    states: tuple[str, ...]
    edges: Kept
    output: tuple[int, ...]
    end: str

    @property
    def inputs(self) -> int:
        """Number of states that come from outside."""
        return len(self.states) - len(self.edges)


PATIENCE = 10_000
"""Number of known proposals in a row after which a space counts as explored."""


def random_point(sizes: Sequence[int], random: Random) -> Point:
    """Draws a point uniformly; `sizes` are the numbers of options of its choices."""
    return tuple(random.randrange(size) for size in sizes)
