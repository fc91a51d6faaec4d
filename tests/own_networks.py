"""Networks with choices, as users write them, for several tests."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite import Choice, InputChoice, LayerSpace, Repeat, Width
from darts_lite.networks.cells.skeleton import SKELETONS, CellPlan, build_cell_inputs
from darts_lite.networks.layers.widest_net import pool_map
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


CHAINS = LayerSpace(
    stem_kernels=(3, 5),
    stem_widths=(3, 4),
    stages=(2,),
    kernels=(3, 5),
    widths=(4, 8),
    expansions=("full", 0, 2),
    placements=("stem", "stem 1"),
    heads=(1, 2),
)


class Link(nn.Module):
    """How a block stands: two options share the block."""

    def __init__(self, block: nn.Module, residual: bool) -> None:
        super().__init__()
        self.block, self.residual = block, residual

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.block(x) if self.residual else self.block(x))


class Means(nn.Module):
    def __init__(self, side: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.side, self.linear = side, nn.Linear(width * side**2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(pool_map(x, self.side).flatten(1))


class Chains(nn.Module):
    """The layers of chains as a network with choices."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        stem = Width(4, CHAINS.stem_widths, name="stem width")
        self.stem = self._choose_stride("stem", lambda s: self._make_stem(in_channels, stem, s))
        entering, blocks = stem, []
        for row, (stage, first) in enumerate(CHAINS.slots):
            width = Width(8, CHAINS.widths, name=f"width {stage}")
            made = self._choose_stride(
                str(stage + 1) if first else "", partial(self._make_block, row, entering, width)
            )
            links: nn.Module = Link(made, False)
            if not first:
                options = {"off": nn.Identity(), "plain": links, "residual": Link(made, True)}
                links = Choice(options, name=f"link {row}")
            blocks.append(links)
            entering = width
        self.blocks = nn.Sequential(*blocks)
        heads = {str(head): Means(head, entering, num_classes) for head in CHAINS.heads}
        self.head = Choice(heads, name="head")

    def _choose_stride(self, place: str, make: Callable[[int], nn.Module]) -> nn.Module:
        strides = {name: 1 + (place in name.split()) for name in CHAINS.placements}
        if len(set(strides.values())) == 1:
            return make(strides.popitem()[1])
        return Choice({name: make(s) for name, s in strides.items()}, name="placement")

    def _make_stem(self, entering: int, width: int, stride: int) -> nn.Module:
        kernels = {
            str(k): nn.Conv2d(entering, width, k, stride, k // 2, bias=False)
            for k in CHAINS.stem_kernels
        }
        return nn.Sequential(Choice(kernels, "stem kernel"), nn.BatchNorm2d(width), nn.ReLU())

    def _make_block(self, row: int, entering: int, width: int, stride: int) -> nn.Module:
        def convolve(inner: int, leaving: int, groups: int) -> Choice:
            kernels = {
                str(k): nn.Conv2d(inner, leaving, k, stride, k // 2, groups=groups, bias=False)
                for k in CHAINS.kernels
            }
            return Choice(kernels, name=f"kernel {row}")

        options: dict[str, nn.Module] = {"full": nn.Sequential(convolve(entering, width, 1))}
        for factor in (0, 2):
            inner = entering * factor or entering
            parts: list[nn.Module] = [convolve(inner, inner, inner)]
            if factor:
                widen = [nn.Conv2d(entering, inner, 1, bias=False), nn.BatchNorm2d(inner)]
                parts = [*widen, nn.ReLU(), *parts, nn.BatchNorm2d(inner), nn.ReLU()]
            options[str(factor)] = nn.Sequential(*parts, nn.Conv2d(inner, width, 1, bias=False))
        return nn.Sequential(Choice(options, name=f"expansion {row}"), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits


class AlongTime(nn.Module):
    """A network for signals, which reads them as rows."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        kernels = {
            f"kernel{size}": nn.Conv1d(in_channels, 8, size, padding=size // 2) for size in (3, 7)
        }
        self.stem = Choice(kernels)
        self.linear = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.relu(self.stem(x.squeeze(2))).mean(dim=2))


class Tied(nn.Module):
    """Two choices of one name, one of which has a part that the user froze."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 4, 3, stride=2, padding=1)
        first = {"c3": nn.Conv2d(4, 4, 3, padding=1), "c5": nn.Conv2d(4, 4, 5, padding=2)}
        frozen = nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False)
        later = {"c3": frozen, "c5": nn.Sequential(Choice({"c5": nn.Conv2d(4, 4, 5, padding=2)}))}
        self.first, self.later = (Choice(parts, name="kernel") for parts in (first, later))
        self.head = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.later(self.first(self.stem(x)).relu()).relu()
        logits: Tensor = self.head(y.mean((2, 3)))
        return logits


class Deep(nn.Module):
    """How deep is a choice only where the body is not left out."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 4, 3, stride=2, padding=1)
        deep = Repeat(lambda place: nn.Conv2d(4, 4, 3, padding=1), 1, 4)
        self.body = Choice({"skip": nn.Identity(), "deep": deep})
        self.head = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(self.stem(x)).mean((2, 3)))
        return logits
