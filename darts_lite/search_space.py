"""What may be chosen: candidates, nodes, cells and channels, and the built-in spaces."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from darts_lite.operations import OPERATIONS, STEMS, is_operation_name

CELL_INPUTS = 2
"""A cell reads the outputs of the two cells before it; they are its states 0 and 1."""


@dataclasses.dataclass(frozen=True)
class SkeletonSettings:
    """The fixed frame around the cells.

    Args:
        channels: Channels of each node in the first cells; doubled by every reduction.
        cells: Number of stacked cells.
        reductions: Indices of the cells that halve the map; none given: at one and two thirds.
        stem: A name in `darts_lite.operations.STEMS`.

    Raises:
        ValueError: if a value is out of range.
    """

    channels: int = 16
    cells: int = 8
    reductions: tuple[int, ...] | None = None
    stem: str = "conv3x3"

    def __post_init__(self) -> None:
        if not isinstance(self.reductions, list | tuple | None):
            raise ValueError(f"reductions must be a list of cells or null, got {self.reductions!r}")
        if self.reductions is not None:
            object.__setattr__(self, "reductions", tuple(self.reductions))
        for name in ("channels", "cells"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not isinstance(self.stem, str) or self.stem not in STEMS:
            raise ValueError(f"unknown stem {self.stem!r}; choose from {sorted(STEMS)}")
        for index in self.reductions or ():
            if type(index) is not int or not 0 <= index < self.cells:
                raise ValueError(
                    f"reductions name cell {index!r}, but the cells are 0 to {self.cells - 1}"
                )

    @property
    def reduction_cells(self) -> tuple[int, ...]:
        """Indices of the reducing cells (DARTS, section 3.1.1: at 1/3 and 2/3 of the depth)."""
        if self.reductions is not None:
            return self.reductions
        return tuple(sorted({self.cells // 3, 2 * self.cells // 3}))

    def kind(self, cell: int) -> str:
        """``"reduce"`` or ``"normal"``: which of the two searched cells stands at this index."""
        return "reduce" if cell in self.reduction_cells else "normal"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cells that occur, in the order ``normal``, ``reduce``."""
        reducing = len(set(self.reduction_cells))
        counts = {"normal": self.cells - reducing, "reduce": reducing}
        return tuple(kind for kind, count in counts.items() if count)


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Cells of `nodes` nodes, each reading every earlier state through a mix of `candidates`.

    Args:
        candidates: Operation names (`darts_lite.operations.OPERATIONS`) or ``module.Name`` of your
            own `torch.nn.Module` class, built as ``Name(channels, stride, affine)``.
        nodes: Intermediate nodes of a cell; their concatenation is its output.
        kept_edges: Incoming edges that each node keeps when the architecture is derived.
        channels, cells, reductions, stem: See `SkeletonSettings`.
        name: Recorded in the architecture file.

    Raises:
        ValueError: if a value is out of range or a candidate is unknown.
    """

    candidates: tuple[str, ...]
    nodes: int = 4
    kept_edges: int = 2
    channels: int = 16
    cells: int = 8
    reductions: tuple[int, ...] | None = None
    stem: str = "conv3x3"
    name: str = "custom"

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", tuple(self.candidates))
        object.__setattr__(self, "reductions", self.skeleton.reductions)
        if len(set(self.candidates)) != len(self.candidates):
            raise ValueError(f"candidates must differ from each other, got {self.candidates}")
        if not any(name != "none" for name in self.candidates):
            raise ValueError("candidates must name at least one operation besides 'none'")
        for name in self.candidates:
            if not is_operation_name(name):
                raise ValueError(
                    f"unknown operation {name!r}; choose from {sorted(OPERATIONS)}, or name a "
                    "module class of your own as module.Name"
                )
        if self.nodes < 1:
            raise ValueError(f"nodes must be at least 1, got {self.nodes}")
        if not 1 <= self.kept_edges <= CELL_INPUTS:
            raise ValueError(
                f"kept_edges must be 1 or {CELL_INPUTS}, the number of edges that enter the first "
                f"node; got {self.kept_edges}"
            )

    @property
    def skeleton(self) -> SkeletonSettings:
        """The frame around the cells."""
        return SkeletonSettings(self.channels, self.cells, self.reductions, self.stem)

    @property
    def edges_per_node(self) -> tuple[int, ...]:
        """Number of edges that enter each node: one from every earlier state."""
        return tuple(CELL_INPUTS + node for node in range(self.nodes))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they are stored in checkpoints."""
        plain = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def of(cls, space: "SearchSpace | Mapping[str, Any]") -> "SearchSpace":
        """A space as it is, or made from what `to_dict` returned.

        Raises:
            ValueError: if a key is unknown or a value out of range.
        """
        if isinstance(space, SearchSpace):
            return space
        allowed = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(space) - set(allowed))
        if unknown:
            raise ValueError(f"unknown keys {unknown} in a search space; allowed: {allowed}")
        return cls(**space)


def darts_space(channels: int = 16, cells: int = 8, nodes: int = 4) -> SearchSpace:
    """The published space of DARTS (arXiv 1806.09055, section 3.1.1): 8 candidates, 4 nodes."""
    candidates = (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )
    return SearchSpace(candidates, nodes=nodes, channels=channels, cells=cells, name="darts")


def mnist_space(channels: int = 16) -> SearchSpace:
    """A small space for digits: two nodes, and single convolutions instead of DARTS' doubled ones.

    The stem halves the map at once, so that the cells work on 14x14 and below. With 16 channels no
    architecture has more than 57,706 parameters (one input channel, 10 classes).
    """
    candidates = (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "dw_conv_3x3",
        "dw_conv_5x5",
    )
    return SearchSpace(
        candidates,
        nodes=2,
        channels=channels,
        cells=4,
        reductions=(1, 3),
        stem="conv3x3_stride2",
        name="mnist",
    )
