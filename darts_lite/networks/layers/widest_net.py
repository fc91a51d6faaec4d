"""The widest net, which holds all chains of a space: narrower and smaller ones are parts of it.

Widths are prefixes of the channels, kernels the middles of the largest kernel (Single-Path NAS,
arXiv 1904.02877; FBNetV2, arXiv 2004.05565). All norms are without scale and shift and always take
the statistics of the batch, since those of one chain are not those of another.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darts_lite.space.layers.chain import FULL, PLAIN, RESIDUAL
from darts_lite.space.layers.chain_options import HALF, OFF, STEM, ChainOptions
from darts_lite.space.maps import find_padding, make_shape


class WidestBlock(nn.Module):
    """The weights of a block with the largest kernel, width and expansion, and of a full one.

    The widened map consists of copies of the map that enters, each with its own weights: an
    expansion by e takes the first e of them, a narrower map the first channels of each.
    """

    def __init__(self, space: ChainOptions, entering: int) -> None:
        super().__init__()
        leaving, kernel = max(space.widths), make_shape(max(space.kernels), space.axes)
        padding = find_padding(kernel)
        copies = max(space.factors, default=0)
        self.full = None
        if FULL in space.expansions:
            self.full = nn.Conv2d(entering, leaving, kernel, padding=padding, bias=False)
        self.inner = max(1, copies) * entering
        self.expand = nn.Conv2d(entering, self.inner, 1, bias=False) if copies else None
        self.depthwise = nn.Conv2d(
            self.inner, self.inner, kernel, padding=padding, groups=self.inner, bias=False
        )
        self.pointwise = nn.Conv2d(self.inner, leaving, 1, bias=False)


class WidestNet(nn.Module):
    """The weights of the widest net."""

    def __init__(self, space: ChainOptions, in_channels: int, num_classes: int) -> None:
        super().__init__()
        kernel, width = make_shape(max(space.stem_kernels), space.axes), max(space.stem_widths)
        self.stem = nn.Conv2d(in_channels, width, kernel, padding=find_padding(kernel), bias=False)
        entering, blocks = width, []
        for _ in space.slots:
            blocks.append(WidestBlock(space, entering))
            entering = max(space.widths)
        self.blocks = nn.ModuleList(blocks)
        self.num_classes = num_classes
        self.classifiers = nn.ModuleDict(
            {str(head): nn.Linear(entering * head**space.axes, num_classes) for head in space.heads}
        )


class MixedLayers:
    """Computes the widest net with masks from mixing weights, or the part of it that is chosen.

    Where every choice is made, as in a discrete path whose gradient is not wanted, only the chosen
    part is computed.

    Raises:
        ValueError: if partial channels or auxiliary skips are asked for.
    """

    searched_channels = None

    def __init__(
        self, space: ChainOptions, in_channels: int, num_classes: int, partial: int, skip: bool
    ) -> None:
        if partial > 1 or skip:
            raise ValueError(
                "a space of layers has no partial channels and no auxiliary skips; leave them out"
            )
        self.space = space
        self.skeleton: Any = WidestNet(space, in_channels, num_classes)

    def run_with(self, executor: Any) -> None:
        """Layers are computed in one way only."""

    def operations(self) -> dict[str, nn.Module]:
        """Returns the blocks, by name."""
        return {f"block {row + 1}": block for row, block in enumerate(self.skeleton.blocks)}

    def __call__(self, images: Tensor, mixing: Mapping[str, Tensor]) -> Tensor:
        """Computes logits ``(B, classes)``."""
        wanted = torch.is_grad_enabled() and any(rows.requires_grad for rows in mixing.values())
        rows = {name: matrix.tolist() for name, matrix in mixing.items()}
        decided = all({*row} <= {0, 1} and sum(row) == 1 for r in rows.values() for row in r)
        if decided and not wanted:
            chosen = {name: [row.index(1) for row in matrix] for name, matrix in rows.items()}
            return self._run_part(images, chosen)
        logits = images.new_zeros(len(images), self.skeleton.num_classes)
        for share, halved in zip(mixing["placement"][0], self.space.placements, strict=True):
            if share != 0:
                logits = logits + share * self._run_masked(images, mixing, halved.split())
        return logits

    def _run_masked(
        self, images: Tensor, mixing: Mapping[str, Tensor], halved: Sequence[str]
    ) -> Tensor:
        """Computes logits ``(B, classes)`` of the widest net with all masks, at one placement."""
        space, net = self.space, self.skeleton
        x = _halve(images, space.axes) if HALF in halved else images
        (kernels,), (widths,) = mixing["stem_kernel"], mixing["stem_width"]
        weight = net.stem.weight * _mask_kernel(kernels, space.stem_kernels, space.axes)
        mask = _mask_prefix(widths, space.stem_widths)  # (channels,)
        x = _convolve(x, weight, 2 if STEM in halved else 1)
        x = _normalise(x).relu() * mask[:, None, None]
        later = 0
        rows = zip(space.slots, net.blocks, mixing["kernel"], mixing["expansion"], strict=True)
        for (stage, first), block, kernels, expansions in rows:
            leaving = _mask_prefix(mixing["width"][stage], space.widths)
            kernel = _mask_kernel(kernels, space.kernels, space.axes)
            stride = 2 if first and str(stage + 1) in halved else 1
            y = self._mix_block(block, x, kernel, expansions, mask, stride)
            y = _normalise(y) * leaving[:, None, None]
            if first:
                x = y.relu()
            else:
                ways = {OFF: x, PLAIN: y.relu(), RESIDUAL: (x + y).relu()}
                links = zip(mixing["link"][later], space.links, strict=True)
                x = torch.stack([share * ways[name] for share, name in links]).sum(dim=0)
                later += 1
            mask = leaving
        heads = zip(mixing["head"][0], space.heads, strict=True)
        logits = [
            share * net.classifiers[str(head)](pool_map(x, head, space.axes).flatten(1))
            for share, head in heads
        ]
        return torch.stack(logits).sum(dim=0)

    def _mix_block(
        self,
        block: WidestBlock,
        x: Tensor,
        kernel: Tensor,
        expansions: Tensor,
        mask: Tensor,
        stride: int,
    ) -> Tensor:
        """Computes what a block maps ``(B, C, H, W)`` to, before its norm.

        `kernel` masks the largest kernels; `mask` is that of the channels of `x` ``(C,)``.
        """
        factors, channels = self.space.factors, len(mask)
        depthwise, pointwise = block.depthwise.weight * kernel, block.pointwise.weight
        mixed: Tensor | float = 0.0
        if block.full is not None:
            mixed = expansions[0] * _convolve(x, block.full.weight * kernel, stride)
            expansions = expansions[1:]
        if 0 in factors:  # the map as it is, by the weights of the first copy
            y = _convolve(x, depthwise[:channels], stride, channels)
            mixed = mixed + expansions[0] * F.conv2d(y, pointwise[:, :channels])
        if block.expand is not None:
            copies = _mask_prefix(expansions, factors)  # (copies,)
            inside = torch.outer(copies, mask).flatten()[:, None, None]  # (copies * C, 1, 1)
            y = _normalise(block.expand(x)).relu() * inside
            y = _normalise(_convolve(y, depthwise, stride, block.inner)).relu() * inside
            mixed = mixed + F.conv2d(y, pointwise)
        return torch.as_tensor(mixed)

    def _run_part(self, images: Tensor, chosen: Mapping[str, Sequence[int]]) -> Tensor:
        """Computes logits ``(B, classes)`` of the chosen chain; `chosen` are places of options."""
        space, net = self.space, self.skeleton
        halved = space.placements[chosen["placement"][0]].split()
        x = _halve(images, space.axes) if HALF in halved else images
        kernel = space.stem_kernels[chosen["stem_kernel"][0]]
        width = space.stem_widths[chosen["stem_width"][0]]
        weight = cut_kernel(net.stem.weight, kernel)[:width]
        x = _normalise(_convolve(x, weight, 2 if STEM in halved else 1)).relu()
        links = iter(chosen.get("link", ()))
        rows = zip(space.slots, net.blocks, chosen["kernel"], chosen["expansion"], strict=True)
        for (stage, first), block, place, expansion in rows:
            link = PLAIN if first else space.links[next(links)]
            if link == OFF:
                continue
            width, kernel = space.widths[chosen["width"][stage]], space.kernels[place]
            stride = 2 if first and str(stage + 1) in halved else 1
            y = _run_block(block, x, kernel, space.expansions[expansion], width, stride)
            x = (x + y if link == RESIDUAL else y).relu()
        head = space.heads[chosen["head"][0]]
        classifier = net.classifiers[str(head)]
        weight = classifier.weight[:, : x.shape[1] * head**space.axes]
        return F.linear(pool_map(x, head, space.axes).flatten(1), weight, classifier.bias)


def _run_block(
    block: WidestBlock, x: Tensor, kernel: int, expansion: int | str, width: int, stride: int
) -> Tensor:
    """Computes what a part of a block maps ``(B, C, H, W)`` to, behind its norm."""
    if block.full is not None and expansion == FULL:
        weight = cut_kernel(block.full.weight, kernel)[:width, : x.shape[1]]
        return _normalise(_convolve(x, weight, stride))
    expansion = int(expansion)
    inner = list_inner(block, x.shape[1], expansion)
    depthwise = cut_kernel(block.depthwise.weight, kernel)[inner]
    if expansion and block.expand is not None:
        x = _normalise(F.conv2d(x, block.expand.weight[inner][:, : x.shape[1]])).relu()
    x = _convolve(x, depthwise, stride, len(inner))
    if expansion:
        x = _normalise(x).relu()
    return _normalise(F.conv2d(x, block.pointwise.weight[:width, inner]))


def list_inner(block: WidestBlock, channels: int, expansion: int) -> Tensor:
    """Returns the places of the widened map's channels that a narrower map and expansion use."""
    entering = block.inner if block.expand is None else block.expand.in_channels
    copies = torch.arange(max(1, expansion)) * entering
    return (copies[:, None] + torch.arange(channels)).flatten()


def pool_map(x: Tensor, side: int, axes: int = 2) -> Tensor:
    """Averages ``(B, C, H, H)`` over windows to ``(B, C, side, side)``, or with one row each.

    They are as far apart as possible, and as large as it takes to reach the margin; a smaller map
    has zeros around it.
    """
    if (missing := side - x.shape[-1]) > 0:
        x = F.pad(x, (0, missing) * axes)
    if x.shape[-1] == side:
        return x
    stride = x.shape[-1] // side
    window = x.shape[-1] - (side - 1) * stride
    return F.avg_pool2d(x, make_shape(window, axes), make_shape(stride, axes))


def _halve(images: Tensor, axes: int) -> Tensor:
    return F.avg_pool2d(images, make_shape(2, axes), ceil_mode=True)


def _convolve(x: Tensor, weight: Tensor, stride: int, groups: int = 1) -> Tensor:
    # A stride changes nothing along an axis of length 1.
    return F.conv2d(x, weight, None, stride, find_padding(weight.shape), groups=groups)


def _normalise(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


def cut_kernel(weight: Tensor, side: int) -> Tensor:
    """Returns the middle of kernels ``(..., K, K)`` or ``(..., 1, K)``, of the given side."""
    for axis in (-2, -1):
        taken = min(side, weight.shape[axis])
        weight = weight.narrow(axis, (weight.shape[axis] - taken) // 2, taken)
    return weight


def _mask_kernel(shares: Tensor, sides: Sequence[int], axes: int) -> Tensor:
    """Returns how far each weight of the largest kernel counts, ``(K, K)`` or ``(1, K)``."""
    rows, columns = (
        (torch.arange(side, device=shares.device) - side // 2).abs()
        for side in make_shape(max(sides), axes)
    )
    ring = torch.maximum(rows[:, None], columns)  # (K, K), distance from the middle
    reach = torch.tensor([side // 2 for side in sides], device=shares.device)
    return (shares * (ring[..., None] <= reach)).sum(dim=-1)


def _mask_prefix(shares: Tensor, sizes: Sequence[int]) -> Tensor:
    """Returns how far each of the most channels counts, ``(max(sizes),)``."""
    sizes_ = torch.tensor(sizes, device=shares.device)
    place = torch.arange(max(sizes), device=shares.device)
    return (shares * (place[:, None] < sizes_)).sum(dim=-1)
