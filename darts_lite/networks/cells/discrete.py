"""Discrete cells: what remains of mixed cells after the search."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.networks.cells.mixed import MixedCells, concatenate, module_key, sum_maps
from darts_lite.networks.cells.skeleton import SKELETONS, CellPlan, build_cell_inputs
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.custom_operations import build_operation
from darts_lite.space.operations import apply_after_relu, begins_with_relu
from darts_lite.training.drop_path import DropPath


class State:
    """A map ``(B, C, H, W)`` of a cell, and its ReLU, for all operations that begin with one."""

    def __init__(self, plain: Tensor) -> None:
        self.plain = plain

    @cached_property
    def rectified(self) -> Tensor:
        """The map after a ReLU."""
        return torch.relu(self.plain)

    def apply(self, operation: nn.Module) -> Tensor:
        if begins_with_relu(operation):
            return apply_after_relu(operation, self.rectified)
        return operation(self.plain)


class DiscreteNode(nn.Module):
    """A node: the sum of a few edges, each an operation on an earlier state."""

    def __init__(self, plan: CellPlan, edges: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.kept = tuple(edges)
        self.operations = nn.ModuleList(
            build_operation(name, plan.channels, plan.stride(source), True)
            for name, source in edges
        )
        self.drop_path = DropPath()
        adding = [place for place, (name, _) in enumerate(edges) if name != "none"]
        self.adding = adding or [0]  # adding zeros costs as much as adding a map

    def forward(self, states: Sequence[State]) -> Tensor:
        """Computes the map of a state, ``(B, C, H, W)``, from earlier states."""
        return sum_maps(self._run_edge(place, states) for place in self.adding)

    def _run_edge(self, place: int, states: Sequence[State]) -> Tensor:
        operation, (_, source) = self.operations[place], self.kept[place]
        if isinstance(operation, nn.Identity):
            return states[source].plain
        return self.drop_path(states[source].apply(operation))


class DiscreteCell(nn.Module):
    """A cell of an architecture."""

    def __init__(self, architecture: Architecture, plan: CellPlan) -> None:
        super().__init__()
        self.kind = plan.kind
        self.inputs = build_cell_inputs(plan, affine=True)
        self.nodes = nn.ModuleList(
            DiscreteNode(plan, edges) for edges in architecture.cells[plan.kind]
        )
        self.concat = architecture.concat[plan.kind]
        self.out_channels = len(self.concat) * plan.channels

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps inputs ``(B, C_in, H, W)`` to ``(B, len(concat) * C, H, W)``."""
        states = [State(plain) for plain in self.inputs(*inputs)]
        for node in self.nodes:
            states.append(State(node(states)))
        return concatenate([states[state].plain for state in self.concat])


def build_discrete_cells(
    architecture: Architecture, in_channels: int, num_classes: int, auxiliary: bool
) -> nn.Module:
    """Builds the cells of an architecture in their skeleton.

    Raises:
        ValueError: if an operation is unknown, or an auxiliary head has no reducing cell.
    """
    return SKELETONS[architecture.skeleton.wiring](
        architecture.skeleton,
        lambda plan: DiscreteCell(architecture, plan),
        in_channels,
        num_classes,
        auxiliary,
    )


def inherit_cells(architecture: Architecture, skeleton: Any, mixed: MixedCells) -> None:
    """Copies the trained weights of the edges that were kept into a net's skeleton.

    Raises:
        ValueError: if the supernet's skeleton differs, the cells do not come from its space, or it
            was searched on a part of the channels only.
    """
    if mixed.partial_channels > 1:
        raise ValueError(
            f"cannot inherit weights: the supernet was searched on 1 of {mixed.partial_channels} "
            "channels; train from scratch"
        )
    _check_inheritable(architecture, mixed.space)
    for name, frame in skeleton.named_children():
        if name not in ("cells", "auxiliary_head"):
            _copy_weights(frame, mixed.skeleton.get_submodule(name))
    cells: Any = zip(skeleton.cells, mixed.skeleton.cells, strict=True)
    for cell, mixed_cell in cells:
        _copy_weights(cell.inputs, mixed_cell.inputs)
        for node, mixed_node in zip(cell.nodes, mixed_cell.nodes, strict=True):
            for operation, (name, source) in zip(node.operations, node.kept, strict=True):
                if name != "none":
                    candidates = mixed_node.edges[source].candidates
                    _copy_weights(operation, candidates[module_key(name)])


def _copy_weights(target: nn.Module, source: nn.Module) -> None:
    missing, unexpected = target.load_state_dict(source.state_dict(), strict=False)
    affine = {  # scale and shift of norms, which a supernet's norms lack
        f"{name}.{parameter}".lstrip(".")
        for name, module in target.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in ("weight", "bias")
    }
    if different := [*unexpected, *sorted(set(missing) - affine)]:
        raise ValueError(
            f"cannot inherit weights: the net and the supernet differ in {', '.join(different)}; "
            "train from scratch"
        )


def _check_inheritable(architecture: Architecture, space: SearchSpace) -> None:
    ours, theirs = architecture.skeleton, space.skeleton
    for field in ("wiring", "stem", "channels", "cells", "reduction_cells"):
        if getattr(ours, field) != getattr(theirs, field):
            raise ValueError(
                f"cannot inherit weights: the net has {field} {getattr(ours, field)}, the supernet "
                f"{getattr(theirs, field)}; keep the skeleton of the search or train from scratch"
            )
    for kind in ours.kinds:
        names = {name for node in architecture.cells[kind] for name, _ in node}
        if architecture.concat[kind] != space.outputs or not names.issubset(space.candidates):
            raise ValueError(
                f"cannot inherit weights: the {kind} cell does not come from the space "
                f"{space.name!r}; train from scratch"
            )
