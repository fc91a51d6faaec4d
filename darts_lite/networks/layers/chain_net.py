"""The network of a chain of layers."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.networks.layers.widest_net import MixedLayers, cut_kernel, list_inner, pool_map
from darts_lite.space.depthwise import DepthwiseConv2d
from darts_lite.space.groups import Choices
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.layers.chain_options import OFF, ChainOptions
from darts_lite.space.maps import find_padding, make_shape


class ChainBlock(nn.Module):
    """A block: a convolution of 1x1 that widens, a depthwise one, and one of 1x1; or a full one.

    Each convolution of 1x1 has a norm; a depthwise one only in an expanded block, as there is
    nothing between it and the next convolution otherwise. What leaves the block is rectified.
    """

    def __init__(self, block: Block, channels: int, axes: int) -> None:
        super().__init__()
        self.residual = block.residual
        self.full = self.expand = self.depthwise = self.pointwise = None
        norm = nn.BatchNorm2d(block.width)
        if block.full:
            self.full = nn.Sequential(make_full(channels, block, axes), norm)
            return
        inner = block.expansion * channels or channels
        if block.expansion:
            self.expand = nn.Sequential(*_widen(channels, inner))
        convolution = DepthwiseConv2d(inner, block.kernel, block.stride, axes=axes)
        behind = [nn.BatchNorm2d(inner), nn.ReLU(inplace=True)] if block.expansion else []
        self.depthwise = nn.Sequential(convolution, *behind)
        self.pointwise = nn.Sequential(nn.Conv2d(inner, block.width, 1, bias=False), norm)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to ``(B, width, ceil(H / stride), ceil(W / stride))``."""
        y = x
        for part in self.children():
            y = part(y)
        return (x + y if self.residual else y).relu_()


def make_full(channels: int, block: Block, axes: int) -> nn.Conv2d:
    """Returns the full convolution of a block that reads a map of `channels`."""
    kernel, stride = make_shape(block.kernel, axes), make_shape(block.stride, axes)
    return nn.Conv2d(channels, block.width, kernel, stride, find_padding(kernel), bias=False)


def _widen(channels: int, inner: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)


class ChainNet(nn.Module):
    """The stem, the blocks, the means over the map, and a linear layer."""

    def __init__(self, chain: Chain, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.axes = axes = chain.axes
        self.reduce = nn.AvgPool2d(make_shape(2, axes), ceil_mode=True) if chain.halved else None
        width = chain.stem_width
        self.stem = nn.Sequential(
            make_full(in_channels, chain.stem, axes),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        widths = [width, *(block.width for block in chain.blocks)]
        blocks = zip(chain.blocks, widths, strict=False)
        self.blocks = nn.Sequential(*(ChainBlock(*each, axes) for each in blocks))
        self.head = chain.head
        self.classifier = nn.Linear(widths[-1] * chain.head**axes, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        """Computes logits ``(B, classes)`` of images ``(B, C, H, W)``; there is no second head."""
        x = images if self.reduce is None else self.reduce(images)
        x = self.stem(x)
        if self.training:  # faster on CPUs, and not implied by an image of one channel
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.blocks(x)
        return self.classifier(pool_map(x, self.head, self.axes).flatten(1)), None


def list_maps(net: ChainNet) -> Iterator[nn.Module]:
    """Yields the modules whose results are the maps of a file in whole numbers, in their order.

    Means are not among them, which have the scale of the map that they are of.
    """
    yield net.stem
    for block in net.blocks:
        parts = [*block.children()]
        yield from parts if block.residual else parts[:-1]  # else only what is rectified is a map
        yield block
    yield net.classifier


def build_chain(chain: Chain, in_channels: int, num_classes: int, auxiliary: bool) -> ChainNet:
    """Builds the net of a chain; raises ValueError if an auxiliary head is asked for."""
    if auxiliary:
        raise ValueError("a chain of layers has no auxiliary head; set auxiliary_weight to 0")
    return ChainNet(chain, in_channels, num_classes)


@torch.no_grad()
def inherit_layers(chain: Chain, net: Any, mixed: MixedLayers) -> None:
    """Copies the weights of a chain's layers out of the widest net; norms keep what they have.

    Raises:
        ValueError: if the chain was not chosen in the widest net's space.
    """
    space, widest = mixed.space, mixed.skeleton
    if space.build(chain.choices, chain.found_by) != chain:
        raise ValueError("the chain is not of the supernet's space, so it has no weights for it")
    net.stem[0].weight.copy_(cut_kernel(widest.stem.weight, chain.stem_kernel)[: chain.stem_width])
    width = chain.stem_width
    for block, made, row in zip(
        chain.blocks, net.blocks, list_rows(space, chain.choices), strict=True
    ):
        source = widest.blocks[row]
        if block.full:
            weight = cut_kernel(source.full.weight, block.kernel)
            made.full[0].weight.copy_(weight[: block.width, :width])
            width = block.width
            continue
        inner = list_inner(source, width, block.expansion)
        if made.expand is not None:
            made.expand[0].weight.copy_(source.expand.weight[inner][:, :width])
        made.depthwise[0].weight.copy_(cut_kernel(source.depthwise.weight, block.kernel)[inner])
        made.pointwise[0].weight.copy_(source.pointwise.weight[: block.width, inner])
        width = block.width
    source = widest.classifiers[str(chain.head)]
    net.classifier.weight.copy_(source.weight[:, : width * chain.head**space.axes])
    net.classifier.bias.copy_(source.bias)


def list_rows(space: ChainOptions, choices: Choices) -> list[int]:
    """Returns which blocks of a space stand."""
    links = iter(choices.get("link", ()))
    return [row for row, (_, first) in enumerate(space.slots) if first or next(links)[0][0] != OFF]
