"""The discrete network of an architecture: what remains after the search."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.distributed.ranks import own_part
from darts_lite.networks.skeleton import SKELETONS, CellPlan, cell_inputs
from darts_lite.networks.supernet import Supernet, concatenated, module_key, sum_of
from darts_lite.space.architecture import Architecture
from darts_lite.space.operations import begins_with_relu, find_operation, of_rectified
from darts_lite.space.search_space import SearchSpace
from darts_lite.storage.checkpoints import CHANGED, read_checkpoint


class DropPath(nn.Module):
    """Zeroes whole samples of a branch with probability `rate` and rescales the others.

    Scheduled drop path of FractalNet and NASNet, as DARTS uses it (arXiv 1806.09055, appendix A.1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> the same shape; the identity in evaluation."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = own_part().drawn(lambda n: x.new_empty(n, 1, 1, 1).bernoulli_(keep), len(x))
        return x * mask / keep


class State:
    """A map ``(B, C, H, W)`` of a cell, and its ReLU, for all operations that begin with one."""

    def __init__(self, plain: Tensor) -> None:
        self.plain = plain

    @cached_property
    def rectified(self) -> Tensor:
        """The map behind a ReLU."""
        return torch.relu(self.plain)

    def through(self, operation: nn.Module) -> Tensor:
        """What an operation makes of the map."""
        if begins_with_relu(operation):
            return of_rectified(operation, self.rectified)
        return operation(self.plain)


class Node(nn.Module):
    """A node: the sum of a few edges, each an operation on an earlier state."""

    def __init__(self, plan: CellPlan, edges: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.kept = tuple(edges)
        self.operations = nn.ModuleList(
            find_operation(name)(plan.channels, plan.stride(source), True) for name, source in edges
        )
        self.drop_path = DropPath()
        adding = [place for place, (name, _) in enumerate(edges) if name != "none"]
        self.adding = adding or [0]  # zeros cost as much as another map does

    def forward(self, states: Sequence[State]) -> Tensor:
        """Earlier states -> the map of a state, ``(B, C, H, W)``."""
        return sum_of(self._through(place, states) for place in self.adding)

    def _through(self, place: int, states: Sequence[State]) -> Tensor:
        operation, (_, source) = self.operations[place], self.kept[place]
        if isinstance(operation, nn.Identity):
            return states[source].plain
        return self.drop_path(states[source].through(operation))


class Cell(nn.Module):
    """A discrete cell."""

    def __init__(self, architecture: Architecture, plan: CellPlan) -> None:
        super().__init__()
        self.kind = plan.kind
        self.inputs = cell_inputs(plan, affine=True)
        self.nodes = nn.ModuleList(Node(plan, edges) for edges in architecture.cells[plan.kind])
        self.concat = architecture.concat[plan.kind]
        self.out_channels = len(self.concat) * plan.channels

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Inputs ``(B, C_in, H, W)`` -> ``(B, len(concat) * C, H, W)``."""
        states = [State(plain) for plain in self.inputs(*inputs)]
        for node in self.nodes:
            states.append(State(node(states)))
        return concatenated([states[state].plain for state in self.concat])


class Net(nn.Module):
    """The network of an architecture.

    Args:
        architecture: Cells and skeleton.
        in_channels: Channels of the images.
        num_classes: Number of classes.
        auxiliary: Whether to add DARTS' auxiliary head, used in training only.

    Raises:
        ValueError: if an operation is unknown, or an auxiliary head has no reducing cell.
    """

    def __init__(
        self,
        architecture: Architecture,
        in_channels: int,
        num_classes: int,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.skeleton = SKELETONS[architecture.skeleton.wiring](
            architecture.skeleton,
            lambda plan: Cell(architecture, plan),
            in_channels,
            num_classes,
            auxiliary,
        )
        self.architecture = architecture

    @classmethod
    def from_run(cls, path: str | Path) -> "Net":
        """The trained net of a run, for normalised images; `darts_lite.load_answer` takes pixels.

        Args:
            path: The run's folder, or its ``net.ckpt``.

        Raises:
            FileNotFoundError, ValueError: if there is none, or it cannot be read.
        """
        file = Path(path) / "net.ckpt" if Path(path).is_dir() else Path(path)
        content = read_checkpoint(file)
        settings = content["model"]["init_args"]
        weights = {
            name.removeprefix("net."): value
            for name, value in content["state_dict"].items()
            if name.startswith("net.") and "auxiliary_head" not in name
        }
        if "architecture" not in settings or not weights:
            raise ValueError(f"{file} is the checkpoint of a search; give the run's net.ckpt")
        architecture = Architecture.from_dict(settings["architecture"])
        net = cls(architecture, settings["in_channels"], settings["num_classes"])
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"{file} does not fit its own architecture; {CHANGED}") from error
        return net.to(memory_format=torch.channels_last).eval()

    def forward(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> logits ``(B, classes)``."""
        return self.skeleton(images)[0]

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits, and those of the auxiliary head while training where there is one."""
        return self.skeleton(images)

    def set_drop_path(self, rate: float) -> None:
        """Sets the probability with which each sample loses a branch."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.rate = rate

    def inherit(self, supernet: Supernet) -> None:
        """Takes the trained weights of the edges that were kept.

        A supernet's norms have no scale and shift; here they keep 1 and 0, so the operations stay
        the same functions. Their running statistics saw mixed inputs: recalibrate them.

        Raises:
            ValueError: if the supernet's skeleton differs, the cells read other states, or its
                operations saw a part of the channels only.
        """
        if supernet.partial_channels > 1:
            raise ValueError(
                "cannot inherit weights: the supernet searched on 1 of "
                f"{supernet.partial_channels} channels; train from scratch"
            )
        _check_inheritable(self.architecture, supernet.space)
        for name, frame in self.skeleton.named_children():
            if name not in ("cells", "auxiliary_head"):
                _take(frame, supernet.skeleton.get_submodule(name))
        cells: Any = zip(self.skeleton.cells, supernet.skeleton.cells, strict=True)
        for cell, mixed_cell in cells:
            _take(cell.inputs, mixed_cell.inputs)
            for node, mixed_node in zip(cell.nodes, mixed_cell.nodes, strict=True):
                for operation, (name, source) in zip(node.operations, node.kept, strict=True):
                    if name != "none":
                        candidates = mixed_node.edges[source].candidates
                        _take(operation, candidates[module_key(name)])


def _take(target: nn.Module, source: nn.Module) -> None:
    missing, unexpected = target.load_state_dict(source.state_dict(), strict=False)
    affine = {
        f"{name}.{parameter}".lstrip(".")
        for name, module in target.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in ("weight", "bias")
    }
    assert affine.issuperset(missing) and not unexpected, (missing, unexpected)


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
