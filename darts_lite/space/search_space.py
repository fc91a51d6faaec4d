"""Search spaces: candidates, nodes, cells and channels, and the built-in spaces."""

import dataclasses
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

from darts_lite.space.operations import OPERATIONS, STEMS, is_operation_name


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


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Cells of `nodes` nodes, each reading every earlier state through a mix of `candidates`.

    Args:
        candidates: Operation names (`darts_lite.OPERATIONS`), or ``module.Name`` for a custom
            `torch.nn.Module` class, built as ``Name(channels, stride, affine)``.
        nodes: Number of intermediate nodes of a cell; their concatenation is its output.
        kept_edges: Number of incoming edges that each node keeps when the architecture is derived,
            with one operation each; None keeps all edges, which may then carry ``none``.
        channels, cells, reductions, stem, wiring: See `SkeletonSettings`.
        name: Name of the space, recorded in the architecture file.

    Raises:
        ValueError: if a value is out of range or a candidate is unknown.
    """

    candidates: tuple[str, ...]
    nodes: int = 4
    kept_edges: int | None = 2
    channels: int = 16
    cells: int = 8
    reductions: tuple[int, ...] | None = None
    stem: str = "conv3x3"
    name: str = "custom"
    wiring: str = "darts"

    def __post_init__(self) -> None:
        if not isinstance(self.candidates, list | tuple):
            raise ValueError(f"candidates must be a list of names, got {short(self.candidates)}")
        object.__setattr__(self, "candidates", tuple(self.candidates))
        object.__setattr__(self, "reductions", self.skeleton.reductions)
        for name in self.candidates:
            if not is_operation_name(name):
                raise ValueError(
                    f"unknown operation {short(name)}; choose from {sorted(OPERATIONS)}, or "
                    "name your own module class as module.Name"
                )
        if len(set(self.candidates)) != len(self.candidates):
            raise ValueError(f"candidates must differ from each other, got {self.candidates}")
        if not any(name != "none" for name in self.candidates):
            raise ValueError("candidates must name at least one operation besides 'none'")
        if not isinstance(self.name, str):
            raise ValueError(f"name must be a text, got {short(self.name)}")
        if type(self.nodes) is not int or not 1 <= self.nodes <= LARGEST:
            raise ValueError(
                f"nodes must be at least 1 and at most {LARGEST}, got {short(self.nodes)}"
            )
        edges = self.nodes * (2 * self.skeleton.inputs + self.nodes - 1) // 2
        operations = dict.fromkeys(self.skeleton.kinds, edges * len(self.candidates))
        self.skeleton.check_size(operations)
        kept, inputs = self.kept_edges, self.skeleton.inputs
        if kept is not None and (type(kept) is not int or not 1 <= kept <= inputs):
            raise ValueError(
                f"kept_edges must be 1 to {inputs}, the number of edges that enter the first node, "
                f"or null for all; got {short(kept)}"
            )

    @property
    def skeleton(self) -> SkeletonSettings:
        """The frame around the cells."""
        return SkeletonSettings(self.channels, self.cells, self.reductions, self.stem, self.wiring)

    @property
    def edges_per_node(self) -> tuple[int, ...]:
        """Number of edges that enter each node: one from every earlier state."""
        return tuple(self.skeleton.inputs + node for node in range(self.nodes))

    @property
    def outputs(self) -> tuple[int, ...]:
        """States that make up a cell's output."""
        return self.skeleton.outputs(self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as checkpoints hold them."""
        plain = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def of(cls, space: "SearchSpace | Mapping[str, Any]") -> "SearchSpace":
        """Returns a space unchanged, or builds it from what `to_dict` returned."""
        if isinstance(space, SearchSpace):
            return space
        if not isinstance(space, Mapping):
            raise ValueError(f"a search space must be a mapping of settings, got {short(space)}")
        allowed = [field.name for field in dataclasses.fields(cls)]
        unknown = [key for key in space if key not in allowed]
        if unknown:
            raise ValueError(f"unknown keys {short(unknown)} in a search space; allowed: {allowed}")
        if "candidates" not in space:
            raise ValueError(f"a search space needs candidates, got only {list(space)}")
        return cls(**space)


def darts_space(channels: int = 16, cells: int = 8, nodes: int = 4) -> SearchSpace:
    """Returns the space of DARTS (arXiv 1806.09055, section 3.1.1): 8 candidates, 4 nodes."""
    without_weights = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
    convolutions = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
    candidates = without_weights + convolutions
    return SearchSpace(candidates, nodes=nodes, channels=channels, cells=cells, name="darts")


def mnist_space(channels: int = 16) -> SearchSpace:
    """Returns a small space for digits: three nodes, each of which reads all earlier states.

    The stem halves the map, so that the first cell works on 14x14 and the second on 7x7 pixels,
    with single separable convolutions instead of DARTS' doubled ones. A cell reads only the one
    before it, and no edge needs a 1x1 convolution to fit: on a CPU such nets take two thirds of the
    time of DARTS' wiring. There is no ``none``, because all edges are kept and a node behind
    ``none`` would have dead weights, and no pooling, because it takes as long as a convolution.
    With 32 channels, as `configs/mnist.yaml` retrains them, no architecture has more than 49,866
    parameters (one input channel, 10 classes).
    """
    candidates = ("skip_connect", "dw_conv_3x3", "dw_conv_5x5")
    return SearchSpace(
        candidates,
        nodes=3,
        kept_edges=None,
        channels=channels,
        cells=2,
        reductions=(1,),
        stem="conv3x3_narrow_stride2",
        name="mnist",
        wiring="separable",
    )


def nasbench201_space(channels: int = 16, cells: int = 15) -> SearchSpace:
    """Returns the space of NAS-Bench-201 (arXiv 2001.00326, section 2.1): 5 operations, 6 edges.

    Its ``nor_conv_1x1`` and ``nor_conv_3x3`` are ``conv_1x1`` and ``conv_3x3`` here.
    """
    candidates = ("none", "skip_connect", "conv_1x1", "conv_3x3", "avg_pool_3x3")
    return SearchSpace(
        candidates,
        nodes=3,
        kept_edges=None,
        channels=channels,
        cells=cells,
        stem="conv3x3_narrow",
        name="nasbench201",
        wiring="residual",
    )
