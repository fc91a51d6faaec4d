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

    A 1x1 convolution with a stride reads no other pixels. It is written as this and a convolution
    without stride because, on the CPU in channels_last with fewer than 8 channels, the backward
    pass of torch 2.14 corrupts memory for a 1x1 convolution with a stride.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Returns a view of the pixels."""
        return x[:, :, :: self.stride, :: self.stride]


class Zero(Subsample):
    """No connection: zeros of the output's shape. ``(B, C, H, W)`` -> ``(B, C, H', W')``."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(super().forward(x))


def layout_of(x: Tensor) -> torch.memory_format:
    """Returns the memory format of a map: channels_last or contiguous."""
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
        """Computes half of the output channels from each of two grids, shifted by one pixel."""
        return self.forward_after_relu(torch.relu(x))

    def forward_after_relu(self, x: Tensor) -> Tensor:
        """Computes the same from a map that has passed the ReLU."""
        even, odd = self.cut_grids(x)
        return self.norm(torch.cat([self.even(even), self.odd(odd)], dim=1))

    def cut_grids(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the two grids of x that the convolutions read, ``(B, C_in, H', W')`` each."""
        height, width = x.shape[-2:]
        return _Grids.apply(nn.functional.pad(x, (0, width % 2, 0, height % 2)))


class _Grids(torch.autograd.Function):
    """Even rows and columns, and odd ones, whose gradients are written into one tensor.

    The gradients of two slices would be two tensors of the whole map's size, and their sum a third.
    Takes ``(B, C, H, W)`` with even sides, returns two maps ``(B, C, H / 2, W / 2)``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.layout = layout_of(x)
        return x[:, :, ::2, ::2].clone(), x[:, :, 1::2, 1::2].clone()

    @staticmethod
    def backward(ctx: Any, grad_even: Tensor, grad_odd: Tensor) -> Tensor:
        batch, channels, height, width = grad_even.shape
        shape = (batch, channels, 2 * height, 2 * width)
        like = {"dtype": grad_even.dtype, "device": grad_even.device, "memory_format": ctx.layout}
        grad_x = torch.empty(shape, **like).zero_()  # no grid reads the other pixels
        grad_x[:, :, ::2, ::2] = grad_even
        grad_x[:, :, 1::2, 1::2] = grad_odd
        return grad_x


def begins_with_relu(operation: nn.Module) -> bool:
    """Returns whether `apply_after_relu` can run an operation without its first ReLU."""
    if type(operation) is nn.Sequential:
        return type(operation[0]) is nn.ReLU
    return type(operation) is FactorizedReduce


def apply_after_relu(operation: nn.Module, x: Tensor) -> Tensor:
    """Applies an operation that begins with a ReLU to a map that has passed this ReLU already.

    Operations that read one map share its ReLU, which on a CPU costs as much as a convolution.
    """
    if isinstance(operation, FactorizedReduce):
        return operation.forward_after_relu(x)
    for module in islice(cast(nn.Sequential, operation), 1, None):
        x = module(x)
    return x


def relu_conv_norm(
    in_channels: int, out_channels: int, kernel: int, stride: int, affine: bool
) -> nn.Sequential:
    """Builds ReLU, convolution, batch norm: DARTS' preprocessing block and plain convolutions."""
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
    """Builds ReLU, depthwise convolution, 1x1 convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        DepthwiseConv2d(channels, kernel, stride, dilation),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


def _skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def _pool(kind: Callable[..., nn.Module], **settings: Any) -> Operation:
    # The published network drops this norm after the search. It has no parameters, and with it a
    # net that inherits the supernet's weights computes the same function.
    return lambda channels, stride, affine: nn.Sequential(
        kind(3, stride, padding=1, **settings), nn.BatchNorm2d(channels, affine=False)
    )


def _separable(kernel: int) -> Operation:
    return lambda channels, stride, affine: nn.Sequential(
        *depthwise_separable(channels, kernel, stride, 1, affine),
        *depthwise_separable(channels, kernel, 1, 1, affine),
    )


def _depthwise(kernel: int, dilation: int = 1) -> Operation:
    return lambda c, stride, affine: depthwise_separable(c, kernel, stride, dilation, affine)


def _convolution(kernel: int) -> Operation:
    return lambda c, stride, affine: relu_conv_norm(c, c, kernel, stride, affine)


OPERATIONS: Mapping[str, Operation] = {
    "none": lambda channels, stride, affine: Zero(stride),
    "max_pool_3x3": _pool(nn.MaxPool2d),
    "avg_pool_3x3": _pool(nn.AvgPool2d, count_include_pad=False),
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
"""Built-in operations by name, with the builders that make them."""


def is_operation_name(name: object) -> TypeGuard[str]:
    """Returns whether this is a key of `OPERATIONS`, or has the form ``module.Name``."""
    if not isinstance(name, str):
        return False
    return name in OPERATIONS or ("." in name and all(p.isidentifier() for p in name.split(".")))


def find_operation(name: str) -> Operation:
    """Returns the builder of a name in `OPERATIONS`, or a custom module class ``module.Name``.

    A name may come from a file of unknown origin. So this function imports nothing, and accepts
    only subclasses of `torch.nn.Module` from modules that are loaded already, else ValueError.
    """
    if name in OPERATIONS:
        return OPERATIONS[name]
    module, _, attribute = name.rpartition(".")
    operation = getattr(sys.modules.get(module), attribute, None)
    if not (isinstance(operation, type) and issubclass(operation, nn.Module)):
        kind = "class" if isinstance(operation, type) else type(operation).__name__
        found = "" if operation is None else f", which is a {kind}"
        raise ValueError(
            f"unknown operation {name!r}{found}; choose from {sorted(OPERATIONS)}, or name a "
            "subclass of torch.nn.Module, module.Name, whose module is imported (run.imports)"
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
