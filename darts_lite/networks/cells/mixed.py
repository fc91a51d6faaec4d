"""Mixed cells: every candidate on every edge, mixed by weights that come from outside."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import channel_shuffle, max_pool2d

from darts_lite.networks.cells.skeleton import SKELETONS, CellPlan, build_cell_inputs
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.custom_operations import build_operation
from darts_lite.space.operations import layout_of

AUXILIARY = "auxiliary_skip"
"""Key of the module of a skip connection beside the candidates."""


class MixedOperation(nn.Module):
    """An edge: ``sum_o mixing_o * op_o(x)`` (DARTS, arXiv 1806.09055, equation 2).

    Args:
        channels: Of the input and of the output.
        auxiliary: Whether a skip connection that cannot be chosen comes last.
    """

    def __init__(
        self, candidates: Sequence[str], channels: int, stride: int, auxiliary: bool = False
    ) -> None:
        super().__init__()
        self.stride = stride
        self.candidates = nn.ModuleDict(
            {
                module_key(name): build_operation(name, channels, stride, False)
                for name in candidates
                if name != "none"  # adds zeros; its weight still counts in the softmax
            }
        )
        self.positions = [i for i, name in enumerate(candidates) if name != "none"]
        if auxiliary:
            self.candidates[AUXILIARY] = build_operation("skip_connect", channels, stride, False)
            self.positions.append(len(candidates))

    def forward(self, x: Tensor, row: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` and mixing weights ``(candidates,)`` to ``(B, C, H', W')``."""
        shares = [row[position] for position in self.positions]
        operations = self.candidates.values()
        return sum_maps(s * operation(x) for s, operation in zip(shares, operations, strict=True))


class MixedNode(nn.Module):
    """A node: the sum of its mixed edges, one from every earlier state."""

    def __init__(
        self, candidates: Sequence[str], channels: int, strides: Sequence[int], auxiliary: bool
    ) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            MixedOperation(candidates, channels, stride, auxiliary) for stride in strides
        )

    def forward(self, states: Sequence[Tensor], mixing: Tensor) -> Tensor:
        """Computes a state from earlier ones ``(B, C, H, W)`` and ``(edges, candidates)``."""
        return sum_maps(
            edge(state, row) for edge, state, row in zip(self.edges, states, mixing, strict=True)
        )


class MixedCell(nn.Module):
    """A searched cell.

    With `partial_channels` k above 1 only the first 1/k of a state's channels are searched; the
    others pass, at half the size where the edge has a stride, and a shuffle mixes them (PC-DARTS,
    arXiv 1907.05737, section 3.1). If the mixing weights have one more column than there are
    operations, it multiplies the channels that pass; otherwise these pass unchanged.
    """

    def __init__(
        self,
        space: SearchSpace,
        plan: CellPlan,
        partial_channels: int = 1,
        auxiliary_skip: bool = False,
    ) -> None:
        super().__init__()
        self.kind = plan.kind
        self.stride = plan.stride
        self.inputs = build_cell_inputs(plan, affine=False)
        self.searched_channels = plan.channels // partial_channels
        self.partial_channels = partial_channels
        self.nodes = nn.ModuleList(
            MixedNode(
                space.candidates,
                self.searched_channels,
                [plan.stride(source) for source in range(edges)],
                auxiliary_skip,
            )
            for edges in space.edges_per_node
        )
        self.edges_per_node = space.edges_per_node
        self.passing = len(space.candidates) + auxiliary_skip  # column of the mixing weights
        self.outputs = space.outputs
        self.out_channels = len(self.outputs) * plan.channels

    def forward(self, inputs: Sequence[Tensor], mixing: Tensor) -> Tensor:
        """Maps ``(B, C_in, H, W)`` and ``(edges, candidates)`` to ``(B, out_channels, H, W)``."""
        states = self.inputs(*inputs)
        for node, rows in zip(self.nodes, mixing.split(self.edges_per_node), strict=True):
            mixed = node([self.select_searched(state) for state in states], rows)
            states.append(self.join(mixed, states, rows))
        return self.concatenate_outputs(states)

    def concatenate_outputs(self, states: Sequence[Tensor]) -> Tensor:
        return concatenate([states[state] for state in self.outputs])

    def select_searched(self, state: Tensor) -> Tensor:
        """Returns the channels of a state that the mixed operations read, ``(B, C / k, H, W)``."""
        return state[:, : self.searched_channels]

    def join(self, mixed: Tensor, states: Sequence[Tensor], rows: Tensor) -> Tensor:
        """Joins the sum of a node's mixed edges with the channels that are not searched.

        Args:
            mixed: ``(B, C / k, H, W)``.
            states: Earlier states, ``(B, C, H', W')`` each.
            rows: Mixing weights of the node's edges, ``(edges, candidates)``.
        """
        if self.partial_channels == 1:
            return mixed
        others = [state[:, self.searched_channels :] for state in states]
        if rows.shape[1] > self.passing:
            others = [w * x for w, x in zip(rows[:, self.passing], others, strict=True)]
        passed = sum_maps(
            max_pool2d(x, 2, ceil_mode=True) if self.stride(source) == 2 else x
            for source, x in enumerate(others)
        )
        return channel_shuffle(torch.cat([mixed, passed], dim=1), self.partial_channels)


class CellRunner(Protocol):
    """Computes one mixed cell, as `MixedCell.forward` does."""

    def __call__(self, inputs: Sequence[Tensor], mixing: Tensor, /) -> Tensor: ...


class Executor(Protocol):
    """Decides how mixed cells are computed. All executors compute the same from one state dict."""

    def runner_of(self, cell: MixedCell) -> CellRunner:
        """Returns an object that computes `cell`, from the parameters of `cell`."""
        ...


class Literal:
    """Runs mixed cells as they are written here: every operation by itself."""

    def runner_of(self, cell: MixedCell) -> CellRunner:
        return cell


class MixedCells:
    """The mixed cells of a space in their skeleton, and what computes them.

    Args:
        space: The search space.
        in_channels: Channels of the images.
        num_classes: Number of classes.
        partial_channels: A number k above 1 searches on 1/k of the channels only, see `MixedCell`.
        auxiliary_skip: Whether each edge has a skip connection beside its candidates, with its own
            mixing weight, the last of each row (DARTS-, arXiv 2009.01027).

    Attributes:
        skeleton: The module with all weights.
        searched_channels: Number of searched channels of the first cells.

    Raises:
        ValueError: if `partial_channels` does not divide the channels.
    """

    def __init__(
        self,
        space: SearchSpace,
        in_channels: int,
        num_classes: int,
        partial_channels: int = 1,
        auxiliary_skip: bool = False,
    ) -> None:
        if partial_channels < 1 or space.channels % partial_channels:
            raise ValueError(
                f"partial_channels must divide the space's {space.channels} channels, got "
                f"{partial_channels}"
            )
        self.space, self.partial_channels = space, partial_channels
        self.searched_channels = space.channels // partial_channels
        self.skeleton: Any = SKELETONS[space.wiring](
            space.skeleton,
            lambda plan: MixedCell(space, plan, partial_channels, auxiliary_skip),
            in_channels,
            num_classes,
        )
        self.run_with(Literal())

    def run_with(self, executor: Executor) -> None:
        """Makes an executor compute the cells from now on."""
        self._runners: dict[MixedCell, CellRunner] = {
            cell: executor.runner_of(cell) for cell in self.skeleton.cells
        }

    def __call__(self, images: Tensor, mixing: Mapping[str, Tensor]) -> Tensor:
        """Computes logits ``(B, classes)`` with mixing weights ``(edges, candidates)`` per kind."""

        def run_cell(cell: MixedCell, inputs: Sequence[Tensor]) -> Tensor:
            return self._runners[cell](inputs, mixing[cell.kind])

        logits: Tensor = self.skeleton(images, run_cell)[0]
        return logits

    def operations(self) -> dict[str, nn.Module]:
        """Returns the candidates of all edges of all cells, by name."""
        return {
            f"skeleton.{edge_name}.{name}": operation
            for edge_name, edge in self.skeleton.named_modules()
            if isinstance(edge, MixedOperation)
            for name, operation in edge.candidates.items()
        }


def module_key(name: str) -> str:
    """Returns the key of an operation's module in a `ModuleDict`; torch allows no dots there."""
    return name.replace(".", ":")


def sum_maps(maps: Iterable[Tensor]) -> Tensor:
    """Adds maps of one shape, at least one."""
    first, *others = maps
    return sum(others, start=first)


def concatenate(states: Sequence[Tensor]) -> Tensor:
    """Concatenates maps ``(B, C, H, W)`` along the channels.

    On a CPU their gradients, which are slices of one tensor, are copied into the maps' own layout:
    batch norm's backward pass takes five to twenty times as long for slices.
    """
    if len(states) == 1:
        return states[0]
    for state in states:
        if state.requires_grad and state.device.type == "cpu":
            state.register_hook(partial(torch.Tensor.contiguous, memory_format=layout_of(state)))
    return torch.cat([*states], dim=1)
