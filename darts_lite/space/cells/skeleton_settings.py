"""The settings of the skeleton, the fixed frame around the cells."""

import dataclasses
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

from darts_lite.space.operations import STEMS


@dataclasses.dataclass(frozen=True)
class Wiring:
    """The connections between cells.

    Args:
        inputs: Number of earlier cells that a cell reads; their outputs are its first states.
        reducing_cells: True if special cells halve the maps; False if they are halved between
            cells.
        concatenates: True if a cell's output is the concatenation of all its nodes; False if it is
            the last node.
    """

    inputs: int
    reducing_cells: bool
    concatenates: bool


WIRINGS: Mapping[str, Wiring] = {
    "darts": Wiring(inputs=2, reducing_cells=True, concatenates=True),
    "residual": Wiring(inputs=1, reducing_cells=False, concatenates=False),
    "separable": Wiring(inputs=1, reducing_cells=False, concatenates=False),
}
"""``darts``: arXiv 1806.09055, section 2.1. ``residual``: NAS-Bench-201 (arXiv 2001.00326, section
2.1), where each cell reads the one before it and residual blocks halve the maps between cells.
``separable``: the same, with a separable convolution in the place of each residual block."""

LARGEST = 10_000
"""Largest number of cells, nodes or channels; more is a typing error, not a network."""
MOST_OPERATIONS = 20_000
"""Largest number of operations of a network (seconds to build); DARTS' supernet has 896."""
MOST_WEIGHTS = 2 * 10**9
"""Largest number of weights (8 GB) of a network, if each operation were a 3x3 convolution."""


@dataclasses.dataclass(frozen=True)
class SkeletonSettings:
    """The fixed frame around the cells.

    Args:
        channels: Channels of each node in the first cells; doubled by every reduction.
        cells: Number of stacked cells.
        reductions: Indices of the cells that halve the map, or before which it is halved,
            depending on the wiring; if None, those at one and two thirds of the depth.
        stem: A name in `darts_lite.space.operations.STEMS`. In a wiring with one input it sets the
            channels of the first cells.
        wiring: A name in `WIRINGS`.

    Raises:
        ValueError: if a value is out of range.
    """

    channels: int = 16
    cells: int = 8
    reductions: tuple[int, ...] | None = None
    stem: str = "conv3x3"
    wiring: str = "darts"

    def __post_init__(self) -> None:
        if not isinstance(self.wiring, str) or self.wiring not in WIRINGS:
            raise ValueError(f"unknown wiring {short(self.wiring)}; choose from {sorted(WIRINGS)}")
        if not isinstance(self.reductions, list | tuple | range | None):
            raise ValueError(
                f"reductions must be a list of cells or null, got {short(self.reductions)}"
            )
        if self.reductions is not None:
            object.__setattr__(self, "reductions", tuple(self.reductions))
        for name in ("channels", "cells"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= LARGEST:
                raise ValueError(
                    f"{name} must be a whole number from 1 to {LARGEST}, got {short(value)}"
                )
        if not isinstance(self.stem, str) or self.stem not in STEMS:
            raise ValueError(f"unknown stem {short(self.stem)}; choose from {sorted(STEMS)}")
        for index in self.reductions or ():
            if type(index) is not int or not 0 <= index < self.cells:
                raise ValueError(
                    f"reductions name cell {short(index)}, but the cells are 0 to {self.cells - 1}"
                )

    def changed(self, changes: Mapping[str, Any]) -> "SkeletonSettings":
        """Returns a copy with other settings, where they are not None.

        A new number of cells without `reductions` moves these to one and two thirds of the depth.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if given.get("cells", self.cells) != self.cells:
            given.setdefault("reductions", None)
        try:
            return dataclasses.replace(self, **given)
        except ValueError as error:
            raise ValueError(f"skeleton: {error}") from error

    @property
    def reduction_cells(self) -> tuple[int, ...]:
        """Indices of the reducing cells (DARTS, section 3.1.1: 1/3 and 2/3 of the depth)."""
        if self.reductions is not None:
            return self.reductions
        return tuple(sorted({self.cells // 3, 2 * self.cells // 3}))

    def kind(self, cell: int) -> str:
        """Returns the kind of the cell at an index: ``"normal"`` or ``"reduce"``."""
        reducing = WIRINGS[self.wiring].reducing_cells and cell in self.reduction_cells
        return "reduce" if reducing else "normal"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of cells that occur, in the order ``normal``, ``reduce``."""
        reducing = len(set(self.reduction_cells)) if WIRINGS[self.wiring].reducing_cells else 0
        present = {"normal": reducing < self.cells, "reduce": reducing > 0}
        return tuple(kind for kind, occurs in present.items() if occurs)

    @property
    def inputs(self) -> int:
        """Number of states of a cell that are outputs of earlier cells."""
        return WIRINGS[self.wiring].inputs

    def outputs(self, nodes: int) -> tuple[int, ...]:
        """Returns the states that make up the output of a cell with `nodes` nodes."""
        states = tuple(range(self.inputs, self.inputs + nodes))
        return states if WIRINGS[self.wiring].concatenates else states[-1:]

    def check_size(self, operations: Mapping[str, int]) -> None:
        """Raises ValueError if a network would be too large, before anything is built.

        Operations: kind of cell -> number of operations of one cell.
        """
        total, weights, channels = 0, 0, self.channels
        reducing = set(self.reduction_cells)
        for cell in range(self.cells):
            channels *= 2 if cell in reducing else 1
            total += operations[self.kind(cell)]
            weights += operations[self.kind(cell)] * 3 * 3 * channels**2
            if total > MOST_OPERATIONS or weights > MOST_WEIGHTS:
                raise ValueError(
                    f"a network of {self.cells} cells and {self.channels} channels with these "
                    f"nodes, candidates and reductions has more than {MOST_OPERATIONS} operations "
                    f"or {MOST_WEIGHTS} weights; take fewer"
                )
