"""The frame around the cells: stem, stacked cells, head. Supernet and net share it.

In DARTS' wiring (arXiv 1806.09055, section 3.1.1 and appendix A.1) every cell reads the two cells
before it, and reducing cells double the channels. In the residual wiring (NAS-Bench-201, arXiv
2001.00326, section 2.1) a cell reads the one before it, and residual blocks between cells double
the channels; in the separable wiring separable convolutions do. Global pooling and a linear layer
end the net.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.space.cells.skeleton_settings import SkeletonSettings
from darts_lite.space.operations import (
    STEMS,
    FactorizedReduce,
    apply_after_relu,
    depthwise_separable,
    relu_conv_norm,
)


@dataclass(frozen=True)
class CellPlan:
    """Settings from which a cell is built.

    Args:
        kind: ``"normal"`` or ``"reduce"``.
        input_channels: Channels of each input: the outputs of the cell before the last and of the
            last one, or of the last one only.
        input_reduced: Whether the last cell halved the map, so that input 0 is twice as large.
        channels: Channels of each node.
    """

    index: int
    kind: str
    input_channels: tuple[int, ...]
    input_reduced: bool
    channels: int

    def stride(self, source: int) -> int:
        """Returns an operation's stride on state `source`; reducing cells halve their inputs."""
        return 2 if self.kind == "reduce" and source < len(self.input_channels) else 1


def build_cell_inputs(plan: CellPlan, affine: bool) -> nn.Module:
    """Builds the module that maps a cell's inputs to its first states, a list."""
    return TwoInputs(plan, affine) if len(plan.input_channels) == 2 else OneInput()


class OneInput(nn.Module):
    """Takes the output of the cell before as state 0, unchanged."""

    def forward(self, last: Tensor) -> list[Tensor]:
        return [last]


class TwoInputs(nn.Module):
    """Brings a cell's two inputs to its channels and to one size: its states 0 and 1."""

    def __init__(self, plan: CellPlan, affine: bool) -> None:
        super().__init__()
        before_last, last = plan.input_channels
        self.before_last = (
            FactorizedReduce(before_last, plan.channels, affine)
            if plan.input_reduced
            else relu_conv_norm(before_last, plan.channels, 1, 1, affine)
        )
        self.last = relu_conv_norm(last, plan.channels, 1, 1, affine)

    def forward(self, before_last: Tensor, last: Tensor) -> list[Tensor]:
        """Maps two inputs after a ReLU to two states ``(B, channels, H, W)``."""
        return [apply_after_relu(self.before_last, before_last), apply_after_relu(self.last, last)]


RunCell = Callable[[Any, Sequence[Tensor]], Tensor]


def _run(cell: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return cell(inputs)


class StackedCells(nn.Module):
    """DARTS' skeleton: reducing cells stand among the others.

    Args:
        build_cell: A cell maps its inputs to one map of ``out_channels``.
        in_channels: Channels of the images.
        auxiliary: Whether a second classifier reads the output of the last reducing cell.

    Raises:
        ValueError: if an auxiliary head is asked for where no cell reduces.
    """

    def __init__(
        self,
        settings: SkeletonSettings,
        build_cell: Callable[[CellPlan], nn.Module],
        in_channels: int,
        num_classes: int,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.stem, stem_channels = STEMS[settings.stem](in_channels, settings.channels)
        self.cells = nn.ModuleList()
        inputs: tuple[int, ...] = (stem_channels, stem_channels)
        reduced, channels = False, settings.channels
        self.auxiliary_after = max(settings.reduction_cells, default=None) if auxiliary else None
        if auxiliary and self.auxiliary_after is None:
            raise ValueError("an auxiliary head needs a reducing cell; set auxiliary_weight to 0")
        self.auxiliary_head: AuxiliaryHead | None = None
        for index in range(settings.cells):
            kind = settings.kind(index)
            channels *= 2 if kind == "reduce" else 1
            cell: Any = build_cell(CellPlan(index, kind, inputs, reduced, channels))
            self.cells.append(cell)
            inputs, reduced = (inputs[1], cell.out_channels), kind == "reduce"
            if index == self.auxiliary_after:
                self.auxiliary_head = AuxiliaryHead(cell.out_channels, num_classes)
        self.classifier = nn.Linear(inputs[1], num_classes)

    def forward(self, images: Tensor, run_cell: RunCell = _run) -> tuple[Tensor, Tensor | None]:
        """Computes logits ``(B, classes)``, in training also those of the auxiliary head.

        Args:
            images: ``(B, C, H, W)``, any size.
            run_cell: Calls a cell with its inputs; a supernet adds the mixing weights here.
        """
        output = self.stem(images)
        before_last = last = torch.relu(output)  # computed once for the two cells that read it
        auxiliary = None
        for index, cell in enumerate(self.cells):
            output = run_cell(cell, (before_last, last))
            before_last, last = last, torch.relu(output)
            if index == self.auxiliary_after and self.training and self.auxiliary_head is not None:
                auxiliary = self.auxiliary_head(last)
        return self.classifier(output.mean(dim=(2, 3))), auxiliary


class CellsBetweenBlocks(nn.Module):
    """NAS-Bench-201's skeleton: blocks between cells halve the maps and double the channels.

    `make_reduction` builds a block for a number of channels; the rest is as in `StackedCells`.

    Raises:
        ValueError: if an auxiliary head is asked for, which this skeleton does not have.
    """

    def __init__(
        self,
        make_reduction: Callable[[int], nn.Module],
        settings: SkeletonSettings,
        build_cell: Callable[[CellPlan], nn.Module],
        in_channels: int,
        num_classes: int,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        if auxiliary:
            raise ValueError(
                f"the {settings.wiring} wiring has no auxiliary head; set auxiliary_weight to 0"
            )
        self.stem, channels = STEMS[settings.stem](in_channels, settings.channels)
        self.cells = nn.ModuleList()
        self.reductions = nn.ModuleDict()  # by the index of the next cell
        for index in range(settings.cells):
            if index in settings.reduction_cells:
                self.reductions[str(index)] = make_reduction(channels)
                channels *= 2
            self.cells.append(
                build_cell(CellPlan(index, settings.kind(index), (channels,), False, channels))
            )
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor, run_cell: RunCell = _run) -> tuple[Tensor, Tensor | None]:
        x = self.stem(images)
        for index, cell in enumerate(self.cells):
            if str(index) in self.reductions:
                x = self.reductions[str(index)](x)
            x = run_cell(cell, (x,))
        return self.classifier(torch.relu(self.norm(x)).mean(dim=(2, 3))), None


class ResidualReduction(nn.Module):
    """Convolutions and pooled shortcut: ``(B, C, H, W)`` -> ``(B, 2 C, ceil(H/2), ceil(W/2))``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            relu_conv_norm(channels, 2 * channels, 3, 2, affine=True),
            relu_conv_norm(2 * channels, 2 * channels, 3, 1, affine=True),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(channels, 2 * channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.convolutions(x) + self.shortcut(x)


def build_separable_reduction(channels: int) -> nn.Module:
    """Builds the block ``(B, C, H, W)`` -> ``(B, 2 C, ceil(H / 2), ceil(W / 2))``."""
    rectifier, depthwise, _, _ = depthwise_separable(channels, 3, 2, 1, affine=True)
    pointwise = nn.Conv2d(channels, 2 * channels, 1, bias=False)
    return nn.Sequential(rectifier, depthwise, pointwise, nn.BatchNorm2d(2 * channels))


SKELETONS: Mapping[str, Callable[..., Any]] = {
    "darts": StackedCells,
    "residual": partial(CellsBetweenBlocks, ResidualReduction),
    "separable": partial(CellsBetweenBlocks, build_separable_reduction),
}
"""Skeletons by name of a wiring; all have stem, cells and classifier."""


class AuxiliaryHead(nn.Module):
    """DARTS' auxiliary classifier: ``(B, C, H, W)`` -> ``(B, classes)`` through a 2x2 map."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)``, after a ReLU, to logits ``(B, classes)``."""
        pooled = average_to_2x2(x)
        return self.classifier(self.features(pooled).flatten(1))


def average_to_2x2(x: Tensor) -> Tensor:
    """Averages four overlapping windows, 5/8 of a side wide as published, to ``(B, C, 2, 2)``."""
    if min(x.shape[-2:]) < 8:
        return nn.functional.adaptive_avg_pool2d(x, 2)
    window = [5 * side // 8 for side in x.shape[-2:]]
    stride = [side - width for side, width in zip(x.shape[-2:], window, strict=True)]
    return nn.functional.avg_pool2d(x, window, stride)
