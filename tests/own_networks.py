"""Networks with choices, as users write them, for several tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite import Choice, InputChoice, Repeat, Width
from darts_lite.networks.cells.skeleton import SKELETONS, CellPlan, build_cell_inputs
from darts_lite.space.cells.search_space import SearchSpace, darts_space
from darts_lite.space.custom_operations import build_operation


class Block(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Head(nn.Module):
    def __init__(self, channels: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


class MyNet(nn.Module):
    """All kinds of choices, one of which cannot be mixed, and one inside another."""

    def __init__(self, in_channels: int, num_classes: int, channels: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
        inner = Choice({"one": Block(channels, 1), "three": Block(channels, 3)})
        self.body = Choice({"conv3": Block(channels, 3), "nested": inner, "skip": nn.Identity()})
        self.pool = Choice({"max": nn.MaxPool2d(2), "keep": nn.Identity()})
        self.deep = Repeat(lambda place: Block(channels, 3), at_least=1, at_most=3)
        self.merge = InputChoice(3, keep=2)
        self.head = Head(channels, Width(8, (2, 4, 8)), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        first = self.pool(self.body(self.stem(x)))
        deep = self.deep(first)
        return self.head(self.merge([first, deep, first * deep]))


CHOSEN = {
    "body": "conv3",
    "pool": "max",
    "deep": "2",
    "merge": "0+1",
    "head.conv.width": "4",
}


class ByHand(nn.Module):
    """The same network with `CHOSEN` in the place of its choices."""

    def __init__(self, in_channels: int, num_classes: int, channels: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
        self.body = Block(channels, 3)
        self.deep = nn.Sequential(Block(channels, 3), Block(channels, 3))
        self.head = Head(channels, 4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.max_pool2d(self.body(self.stem(x)), 2)
        return self.head(first + self.deep(first))


class Widths(nn.Module):
    """Widths in a residual block, a depthwise convolution, a concatenation, and a flattened map."""

    def __init__(self, in_channels: int, num_classes: int, image_size: int) -> None:
        super().__init__()
        width, other = Width(6, (2, 3, 6)), Width(4, (1, 4), name="other")
        self.stem = nn.Conv2d(in_channels, width, 3, 4, padding=1)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.squeeze = nn.Conv2d(width, width // 2, 1)
        self.grow = nn.Conv2d(width // 2, width, 1)
        self.side = nn.Conv2d(in_channels, other, 3, 4, padding=1)
        self.last = nn.Linear((width + other) * (image_size // 4) ** 2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.stem(x))
        y = y + self.depthwise(y)
        y = y * torch.sigmoid(self.grow(torch.relu(self.squeeze(y))))
        return self.last(torch.cat([y, self.side(x)], dim=1).flatten(1))


class Unshown(nn.Module):
    """A norm over the channels reads a width that it does not show."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        width = Width(6, (2, 6))
        self.stem = nn.Conv2d(in_channels, width, 3)
        self.last = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.softmax(self.stem(x).mean((2, 3)), dim=1))


class Cell(nn.Module):
    """A cell of DARTS, as choices: a path to each node from every earlier state, two are kept."""

    def __init__(self, space: SearchSpace, plan: CellPlan) -> None:
        super().__init__()
        self.kind, self.stride = plan.kind, plan.stride
        self.inputs = build_cell_inputs(plan, affine=False)
        self.nodes = nn.ModuleList(
            InputChoice(
                count, space.kept_edges or count, paths=self._paths(space, plan, node, count)
            )
            for node, count in enumerate(space.edges_per_node)
        )
        self.outputs = space.outputs
        self.out_channels = len(self.outputs) * plan.channels

    def _paths(self, space: SearchSpace, plan: CellPlan, node: int, count: int) -> list[Choice]:
        return [
            Choice(
                {
                    name: build_operation(name, plan.channels, plan.stride(source), False)
                    for name in space.candidates
                },
                name=f"{plan.kind} {node} {source}",
            )
            for source in range(count)
        ]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        states = self.inputs(*inputs)
        for node in self.nodes:
            states.append(node(states))
        return torch.cat([states[state] for state in self.outputs], dim=1)


DARTS = darts_space(channels=2, cells=3)


class Darts(nn.Module):
    """The published space of DARTS as a network with choices."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.skeleton: Any = SKELETONS[DARTS.wiring](
            DARTS.skeleton, lambda plan: Cell(DARTS, plan), in_channels, num_classes
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.skeleton(x, lambda cell, inputs: cell(inputs))[0]
        return logits


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copies all weights in their order, which is the same in both."""
    pairs = zip(source.parameters(), target.parameters(), strict=True)
    with torch.no_grad():
        for own, other in pairs:
            other.copy_(own)


def with_options(chosen: Mapping[str, str], **changes: str) -> dict[str, str]:
    return {**chosen, **changes}
