"""What may be chosen: candidates, nodes, cells and channels, and the built-in spaces."""

import dataclasses
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

from darts_lite.space.operations import OPERATIONS, STEMS, is_operation_name


@dataclasses.dataclass(frozen=True)
class Wiring:
    """How cells are joined to each other.

    Args:
        inputs: How many cells before it a cell reads; their outputs are its first states.
        reducing_cells: Whether maps are halved in cells of their own kind, or between cells.
        concatenates: Whether a cell's output is the concatenation of all its nodes, or the last.
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
"""Most cells, nodes or channels that can be asked for: above it is a slip, not a network."""
MOST_OPERATIONS = 20_000
"""Most operations of a network, some seconds to build; DARTS' supernet has 896."""
MOST_WEIGHTS = 2 * 10**9
"""Most weights of a network, were each of its operations a 3x3 convolution: 8 GB."""


@dataclasses.dataclass(frozen=True)
class SkeletonSettings:
    """The fixed frame around the cells.

    Args:
        channels: Channels of each node in the first cells; doubled by every reduction.
        cells: Number of stacked cells.
        reductions: Indices of the cells that halve the map, or before which it is halved, as the
            wiring has it; none given: at one and two thirds.
        stem: A name in `darts_lite.space.operations.STEMS`. In a wiring of one input it decides
            about the channels of the first cells.
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
        if not isinstance(self.reductions, list | tuple | None):
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
        """Indices of the reducing cells (DARTS, section 3.1.1: at 1/3 and 2/3 of the depth)."""
        if self.reductions is not None:
            return self.reductions
        return tuple(sorted({self.cells // 3, 2 * self.cells // 3}))

    def kind(self, cell: int) -> str:
        """``"reduce"`` or ``"normal"``: which of the searched cells stands at this index."""
        reducing = WIRINGS[self.wiring].reducing_cells and cell in self.reduction_cells
        return "reduce" if reducing else "normal"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cells that occur, in the order ``normal``, ``reduce``."""
        reducing = len(set(self.reduction_cells)) if WIRINGS[self.wiring].reducing_cells else 0
        present = {"normal": reducing < self.cells, "reduce": reducing > 0}
        return tuple(kind for kind, occurs in present.items() if occurs)

    @property
    def inputs(self) -> int:
        """How many states of a cell are outputs of earlier cells."""
        return WIRINGS[self.wiring].inputs

    def outputs(self, nodes: int) -> tuple[int, ...]:
        """The states that make up the output of a cell with so many nodes."""
        states = tuple(range(self.inputs, self.inputs + nodes))
        return states if WIRINGS[self.wiring].concatenates else states[-1:]

    def check_size(self, operations: Mapping[str, int]) -> None:
        """Refuses a network that no machine would build, before anything is built.

        Args:
            operations: How many a cell of each kind has.

        Raises:
            ValueError: if there are too many operations or weights.
        """
        total, weights, channels = 0, 0, self.channels
        reducing = set(self.reduction_cells)
        for cell in range(self.cells):
            channels *= 2 if cell in reducing else 1
            total += operations[self.kind(cell)]
            weights += operations[self.kind(cell)] * 9 * channels**2
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
        candidates: Operation names (`darts_lite.OPERATIONS`) or ``module.Name`` of your
            own `torch.nn.Module` class, built as ``Name(channels, stride, affine)``.
        nodes: Intermediate nodes of a cell; their concatenation is its output.
        kept_edges: Incoming edges that each node keeps when the architecture is derived, with an
            operation each; None keeps all edges, which may carry ``none`` then.
        channels, cells, reductions, stem, wiring: See `SkeletonSettings`.
        name: Recorded in the architecture file.

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
                    f"unknown operation {short(name)}; choose from {sorted(OPERATIONS)}, or name a "
                    "module class of your own as module.Name"
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
        inputs = self.skeleton.inputs
        kept = self.kept_edges
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
        """The states that make up a cell's output."""
        return self.skeleton.outputs(self.nodes)

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
        if not isinstance(space, Mapping):
            raise ValueError(f"a search space must have settings, got {short(space)}")
        allowed = [field.name for field in dataclasses.fields(cls)]
        unknown = [key for key in space if key not in allowed]
        if unknown:
            raise ValueError(f"unknown keys {short(unknown)} in a search space; allowed: {allowed}")
        if "candidates" not in space:
            raise ValueError(f"a search space needs candidates, got only {list(space)}")
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
    """A small space for digits: three nodes, each of which sums what any earlier state gives it.

    The stem halves the map at once, so that the first cell works on 14x14 and the second on 7x7,
    with single separable convolutions instead of DARTS' doubled ones. A cell reads the one before
    it only, and no edge needs a 1x1 convolution to fit: on a CPU such nets take two thirds of the
    time of DARTS' wiring. Every edge counts, so there is no ``none``, behind which a node's weights
    would be dead; and no pooling, which takes the time of a convolution. With 32 channels, in which
    `configs/mnist.yaml` retrains them, no architecture has more than 49,866 parameters (one input
    channel, 10 classes).
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
    """The space of NAS-Bench-201 (arXiv 2001.00326, section 2.1): five operations on six edges.

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
