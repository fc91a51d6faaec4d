"""Search spaces of cells: candidates, nodes and skeleton, and the built-in spaces."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from reprlib import repr as short
from typing import Any

from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.genotype import label_edges
from darts_lite.space.cells.skeleton_settings import LARGEST, SkeletonSettings
from darts_lite.space.groups import Choices, Group
from darts_lite.space.operations import OPERATIONS, is_operation_name
from darts_lite.space.protocol import Space


@dataclasses.dataclass(frozen=True)
class SearchSpace(Space):
    """Cells of `nodes` nodes, each reading every earlier state through a mix of `candidates`.

    Args:
        candidates: Operation names (`darts_lite.OPERATIONS`), or ``module.Name`` for a custom
            `torch.nn.Module` class, built as ``Name(channels, stride, affine)``.
        nodes: Number of intermediate nodes of a cell; their concatenation is its output.
        kept_edges: Number of incoming edges that each node keeps when the architecture is derived,
            with one operation each; None keeps all edges, which may then carry ``none``.
        channels: Channels of the first cell, see `SkeletonSettings`.
        cells: Number of cells.
        reductions: Places of the cells that halve the map, from 0.
        stem: Name of the stem.
        wiring: How cells are connected.
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

    @cached_property
    def groups(self) -> dict[str, Group]:
        """One group for each kind of cell; its rows are edges, its sets nodes."""
        sizes = self.edges_per_node
        edges = label_edges(sizes)
        return {
            kind: Group(f"{kind} cell", edges, self.candidates, sizes, self.kept_edges)
            for kind in self.skeleton.kinds
        }

    def build(self, choices: Choices, found_by: Mapping[str, Any] | None = None) -> Architecture:
        return Architecture(dict(choices), {}, self.skeleton, self.name, dict(found_by or {}))

    def in_skeleton(self, changes: Mapping[str, Any]) -> "SearchSpace":
        frame = self.skeleton.changed(changes)
        if frame.kinds != self.skeleton.kinds:
            raise ValueError(
                f"the net to retrain has {' and '.join(frame.kinds)} cells, but the search has "
                f"{' and '.join(self.skeleton.kinds)} cells; choose other cells or reductions"
            )
        changed = {**dataclasses.asdict(frame), "reductions": frame.reduction_cells}
        return dataclasses.replace(self, **changed)

    def to_dict(self) -> dict[str, Any]:
        plain = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "SearchSpace":
        """Builds a space from what `to_dict` returned, and checks every value."""
        allowed = [field.name for field in dataclasses.fields(cls)]
        unknown = [key for key in value if key not in allowed]
        if unknown:
            raise ValueError(f"unknown keys {short(unknown)} in a search space; allowed: {allowed}")
        if "candidates" not in value:
            raise ValueError(f"a search space needs candidates, got only {list(value)}")
        return cls(**value)


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
    With 32 channels, as `configs/mnist_cells.yaml` retrains them, no architecture has more than
    49,866 parameters (one input channel, 10 classes).
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
