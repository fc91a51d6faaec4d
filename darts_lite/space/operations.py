"""The candidate operations and the stems: one entry each.

An operation is built by ``build(channels, stride, affine)`` and maps ``(B, C, H, W)`` to
``(B, C, ceil(H / stride), ceil(W / stride))``. ``affine`` is false inside a supernet, where every
candidate ends in a norm without scale and shift so that the mixing weights alone decide how much it
contributes (DARTS, arXiv 1806.09055, section 3), and true in the discrete network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeGuard, cast

import torch
from torch import Tensor, nn

from darts_lite.space.depthwise import DepthwiseConv2d

Operation = Callable[[int, int, bool], nn.Module]


class Subsample(nn.Module):
    """Every `stride`-th pixel: ``(B, C, H, W)`` -> ``(B, C, ceil(H / stride), ceil(W / stride))``.

    A 1x1 convolution with a stride reads no others. It is written as this and a convolution
    without stride, since torch 2.14 corrupts memory in the backward pass of the former on the CPU
    in channels_last with fewer than 8 channels.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """A view of the pixels."""
        return x[:, :, :: self.stride, :: self.stride]


class Zero(Subsample):
    """No connection: zeros of the output's shape. ``(B, C, H, W)`` -> ``(B, C, H', W')``."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(super().forward(x))


def layout(x: Tensor) -> torch.memory_format:
    """Whether the channels of a pixel, or the pixels of a channel, lie side by side."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


class FactorizedReduce(nn.Module):
    """Halves a map by two 1x1 convolutions on shifted grids; odd sizes are padded by one.

    ``(B, C_in, H, W)`` -> ``(B, C_out, ceil(H / 2), ceil(W / 2))``.
    """

    def __init__(self, in_channels: int, out_channels: int, affine: bool) -> None:
        super().__init__()
        even = out_channels // 2
        self.even = nn.Conv2d(in_channels, even, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - even, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Half of the output channels from each of two grids that are shifted by one pixel."""
        return self.of_rectified(torch.relu(x))

    def of_rectified(self, x: Tensor) -> Tensor:
        """The same of a map that has passed the ReLU."""
        even, odd = self.grids(x)
        return self.norm(torch.cat([self.even(even), self.odd(odd)], dim=1))

    def grids(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two grids of x that the convolutions read, ``(B, C_in, H', W')`` each."""
        height, width = x.shape[-2:]
        return _Grids.apply(nn.functional.pad(x, (0, width % 2, 0, height % 2)))


class _Grids(torch.autograd.Function):
    """Even rows and columns, and odd ones, whose gradients are written into one tensor.

    Slices would each write one of the whole map's size, twice, and add them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, H, W)`` with even sides -> twice ``(B, C, H / 2, W / 2)``."""
        ctx.layout = layout(x)
        return x[:, :, ::2, ::2].clone(), x[:, :, 1::2, 1::2].clone()

    @staticmethod
    def backward(ctx: Any, even: Tensor, odd: Tensor) -> Tensor:
        """The gradient in x."""
        batch, channels, height, width = even.shape
        shape = (batch, channels, 2 * height, 2 * width)
        like = {"dtype": even.dtype, "device": even.device, "memory_format": ctx.layout}
        slope = torch.empty(shape, **like).zero_()
        slope[:, :, ::2, ::2] = even
        slope[:, :, 1::2, 1::2] = odd
        return slope


def begins_with_relu(operation: nn.Module) -> bool:
    """Whether `of_rectified` knows what an operation does behind its ReLU."""
    if type(operation) is nn.Sequential:
        return type(operation[0]) is nn.ReLU
    return type(operation) is FactorizedReduce


def of_rectified(operation: nn.Module, x: Tensor) -> Tensor:
    """What an operation that begins with a ReLU makes of a map that has passed it.

    So operations that read one map share its ReLU: on a CPU one costs as much as a convolution.
    """
    if isinstance(operation, FactorizedReduce):
        return operation.of_rectified(x)
    for module in islice(cast(nn.Sequential, operation), 1, None):
        x = module(x)
    return x


def relu_conv_norm(
    in_channels: int, out_channels: int, kernel: int, stride: int, affine: bool
) -> nn.Sequential:
    """ReLU, convolution, batch norm: DARTS' preprocessing block and the plain convolutions."""
    block = nn.Sequential(nn.ReLU())
    if kernel == 1 and stride > 1:
        block.append(Subsample(stride))
        stride = 1
    block.append(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
    )
    return block.append(nn.BatchNorm2d(out_channels, affine=affine))


def depthwise_separable(
    channels: int, kernel: int, stride: int, dilation: int, affine: bool
) -> nn.Sequential:
    """ReLU, depthwise convolution, 1x1 convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        DepthwiseConv2d(channels, kernel, stride, dilation),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


def _none(channels: int, stride: int, affine: bool) -> nn.Module:
    return Zero(stride)


def _skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def _pool(pool: nn.Module, channels: int) -> nn.Module:
    # The published network drops this norm after the search. It has no parameters, and keeping it
    # lets a derived net inherit the supernet's weights and compute the same function.
    return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False))


def _max_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    return _pool(nn.MaxPool2d(3, stride, padding=1), channels)


def _avg_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    return _pool(nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), channels)


def _separable(kernel: int) -> Operation:
    def build(channels: int, stride: int, affine: bool) -> nn.Module:
        first = depthwise_separable(channels, kernel, stride, 1, affine)
        return nn.Sequential(*first, *depthwise_separable(channels, kernel, 1, 1, affine))

    return build


def _depthwise(kernel: int, dilation: int = 1) -> Operation:
    def build(channels: int, stride: int, affine: bool) -> nn.Module:
        return depthwise_separable(channels, kernel, stride, dilation, affine)

    return build


def _convolution(kernel: int) -> Operation:
    def build(channels: int, stride: int, affine: bool) -> nn.Module:
        return relu_conv_norm(channels, channels, kernel, stride, affine)

    return build


OPERATIONS: Mapping[str, Operation] = {
    "none": _none,
    "max_pool_3x3": _max_pool_3x3,
    "avg_pool_3x3": _avg_pool_3x3,
    "skip_connect": _skip_connect,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "dil_conv_3x3": _depthwise(3, dilation=2),
    "dil_conv_5x5": _depthwise(5, dilation=2),
    "dw_conv_3x3": _depthwise(3),
    "dw_conv_5x5": _depthwise(5),
    "conv_1x1": _convolution(1),
    "conv_3x3": _convolution(3),
}


def is_operation_name(name: object) -> TypeGuard[str]:
    """Whether this is a key of `OPERATIONS`, or has the form ``module.Name``."""
    if not isinstance(name, str):
        return False
    return name in OPERATIONS or ("." in name and all(p.isidentifier() for p in name.split(".")))


def find_operation(name: str) -> Operation:
    """The builder behind ``name``: in `OPERATIONS`, or a module class ``module.Name`` of your own.

    A name may come from a file that somebody sent. So nothing is imported here, and of what is
    loaded already only subclasses of `torch.nn.Module` are taken.

    Raises:
        ValueError: if there is no such operation.
    """
    if name in OPERATIONS:
        return OPERATIONS[name]
    module, _, attribute = name.rpartition(".")
    operation = getattr(sys.modules.get(module), attribute, None)
    if not (isinstance(operation, type) and issubclass(operation, nn.Module)):
        raise ValueError(
            f"unknown operation {name!r}; choose from {sorted(OPERATIONS)}, or name a subclass of "
            "torch.nn.Module, module.Name, whose module is imported (run.imports)"
        )
    return operation


def _stem(*layers: tuple[int, int]) -> Callable[[int, int], tuple[nn.Module, int]]:
    def build(in_channels: int, channels: int) -> tuple[nn.Module, int]:
        stem = nn.Sequential()
        for multiplier, stride in layers:
            if len(stem):
                stem.append(nn.ReLU())
            out_channels = multiplier * channels
            stem.append(nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False))
            stem.append(nn.BatchNorm2d(out_channels))
            in_channels = out_channels
        return stem, in_channels

    return build


STEMS: Mapping[str, Callable[[int, int], tuple[nn.Module, int]]] = {
    "conv3x3": _stem((3, 1)),
    "conv3x3_narrow": _stem((1, 1)),
    "conv3x3_stride2": _stem((2, 2)),
    "conv3x3_narrow_stride2": _stem((1, 2)),
    "conv3x3_twice_stride2": _stem((1, 1), (2, 2)),
}
"""Stem builders ``(in_channels, channels) -> (module, out_channels)`` of convolutions with
``(multiple of channels, stride)``; ``conv3x3`` is DARTS', ``conv3x3_narrow`` NAS-Bench-201's."""
