"""Depthwise convolutions whose backward pass takes the fast kernels of the device.

On the CPU torch hands a float32 depthwise convolution in channels_last to oneDNN. Its fast kernels
know no dilation in the backward pass and no weight gradient of more than three columns; the rest
falls to generic code. Milliseconds of one call on ``(32, 64, 28, 28)`` and ``(32, 256, 7, 7)``, two
x86 cores with AVX2 and nothing else to do, torch 2.14.1, medians (benchmarks/depthwise.py):

========================  ==================  ==================  ============================
kernel, dilation          forward             input gradient      weight gradient
========================  ==================  ==================  ============================
3x3                       0.50, 0.19          0.45, 0.17          0.88, 0.17
5x5                       1.01, 0.36          0.82, 0.41          7.15, 1.63; here 2.7, 0.92
3x3, dilated 2            0.35, 0.16          3.7, 1.7; here 0.5  18.6, 7.5; here 1.9, 0.67
5x5, dilated 2            0.67, 0.20          7.3, 2.1; here 1.0  35.9, 13.7; here 3.6, 1.8
========================  ==================  ==================  ============================

Hence, there: the input gradient is a forward convolution with the kernel turned round; a weight
gradient with dilation is one without on interleaved subgrids; one of five columns is put together
from two of three. On other devices and dtypes torch chooses.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

CACHED_BYTES = 2**23
"""About what a map may take to be still in the cache when the next call reads it."""

HAS_ONEDNN = torch.backends.mkldnn.is_available()

FAST_COLUMNS = 3
"""Most kernel columns of oneDNN's fast weight gradient."""


class DepthwiseConv2d(nn.Conv2d):
    """One ``size x size`` kernel per channel, padded so that only the stride makes maps smaller.

    ``(B, C, H, W)`` -> ``(B, C, ceil(H / stride), ceil(W / stride))``. The weight is
    ``(C, 1, size, size)``.

    Args:
        channels: Number of channels.
        size: Rows and columns of a kernel, odd.
        stride: Step between outputs.
        dilation: Step between the pixels that one output reads.
    """

    def __init__(self, channels: int, size: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (size // 2)
        super().__init__(
            channels, channels, size, stride, padding, dilation, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """A depthwise convolution with odd kernels, padded by ``dilation * (size // 2)``.

    Args:
        x: ``(B, C, H, W)``.
        weight: ``(C, 1, size, size)``.
        stride: Step between outputs.
        dilation: Step between the pixels that one output reads.

    Returns:
        ``(B, C, ceil(H / stride), ceil(W / stride))``.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")  # in which everything takes longer on a CPU
        with torch.autocast("cpu", enabled=False):
            return depthwise(x.float(), weight.float(), stride, dilation).to(dtype)
    if stride == dilation > 1:  # reads one pixel of `stride` only
        x, stride, dilation = x[:, :, ::stride, ::stride], 1, 1
    if torch.is_grad_enabled() and _has_slow_gradients(x, weight, stride, dilation):
        return _Depthwise.apply(x, weight, stride, dilation)
    return _plain(x, weight, stride, dilation)


def depthwise_gradients(
    x: Tensor,
    weight: Tensor,
    slope: Tensor,
    stride: int,
    dilation: int,
    needed: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of `depthwise` in x and in the weight, where `needed`.

    Args:
        x, weight, stride, dilation: As `depthwise` got them, x perhaps before it was `repeated`.
        slope: Gradient in its result.
        needed: Whether that in x is needed (after it was repeated), and that in the weight.
    """
    size = weight.shape[-1]
    of_x = of_weight = None
    if _has_slow_gradients(x, weight, stride, dilation):
        if needed[1]:
            of_weight = weight_gradient(x, slope, size, stride, dilation)
        if needed[0] and stride == 1:
            return depthwise(slope, weight.flip(2, 3), dilation=dilation), of_weight
        needed = (needed[0], False)
    if any(needed):
        x = repeated(x, slope.shape[1] // x.shape[1])
        padding = [dilation * (size // 2)] * 2
        of_x, rest = _convolution_backward(slope, x, weight, stride, padding, dilation, needed)
        of_weight = rest if of_weight is None else of_weight
    return of_x, of_weight


def _plain(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return conv2d(x, weight, None, stride, padding, dilation, len(weight))


def _has_slow_gradients(x: Tensor, weight: Tensor, stride: int, dilation: int) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and (stride == 1 or (stride == 2 and dilation == 1))
        and weight.shape[-1] in (3, 5)
        and (dilation > 1 or weight.shape[-1] > FAST_COLUMNS or len(weight) > x.shape[1])
        and HAS_ONEDNN
        and not torch.is_autocast_enabled("cpu")
    )


class _Depthwise(torch.autograd.Function):
    """Its backward pass is made of differentiable calls, so it has gradients itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        x = x.contiguous(memory_format=torch.channels_last)
        return _plain(x, weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad[:2]
        gradients = depthwise_gradients(x, weight, slope, ctx.stride, ctx.dilation, needed)
        return *gradients, None, None


def weight_gradient(x: Tensor, slope: Tensor, size: int, stride: int, dilation: int) -> Tensor:
    """Gradient of a depthwise convolution in its weight, by the fast kernels.

    Args:
        x: The convolution's input, ``(B, C, H, W)``.
        slope: Gradient in its output, ``(B, copies * C, H', W')``.
        size: 3 or 5, rows and columns of the kernels.
        stride: 1 or 2.
        dilation: Step between the pixels that one output reads; 1 where there is a stride.

    Returns:
        ``(copies * C, 1, size, size)``.
    """
    images = max(1, len(x) * CACHED_BYTES // (slope.numel() * slope.element_size()))
    parts = zip(x.split(images), slope.split(images), strict=True)
    gradients = [_part_of_weight_gradient(*part, size, stride, dilation) for part in parts]
    return torch.stack(gradients).sum(dim=0) if len(gradients) > 1 else gradients[0]


def _part_of_weight_gradient(
    x: Tensor, slope: Tensor, size: int, stride: int, dilation: int
) -> Tensor:
    copies = slope.shape[1] // x.shape[1]
    if size <= FAST_COLUMNS:
        x, slope = subgrids(x, dilation, copies), subgrids(slope, dilation)
        return _kernel_gradient(x, slope, size, size, stride)
    # Outputs moved against the input by two of its columns in all make two kernels of three columns
    # out of five; the middle column is in both. The fast kernels want `size` rows at least.
    moved = 2 // stride
    x = subgrids(x, dilation, copies, rows=size, columns=(1, 1))
    slope = subgrids(slope, dilation, rows=-(-size // stride), columns=(0, moved))
    left = _kernel_gradient(x, slope, size, FAST_COLUMNS, stride)
    right = _kernel_gradient(x, _moved(slope, moved), size, FAST_COLUMNS, stride)
    return torch.cat([left, right[..., 1:]], dim=-1)


def repeated(x: Tensor, copies: int) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, copies * C, H, W)`` in channels_last, all channels copy by copy."""
    if copies == 1:
        return x
    rows = x.permute(0, 2, 3, 1).unsqueeze(3)  # (B, H, W, 1, C)
    return rows.expand(-1, -1, -1, copies, -1).flatten(3).permute(0, 3, 1, 2)


def _kernel_gradient(x: Tensor, slope: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    slope = slope.contiguous(memory_format=torch.channels_last)
    kernel = x.new_empty(x.shape[1], 1, rows, columns)  # only its shape is read
    padding = [rows // 2, columns // 2]
    return _convolution_backward(slope, x, kernel, stride, padding, 1, (False, True))[1]


def _convolution_backward(
    slope: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    padding: list[int],
    dilation: int,
    needed: Sequence[bool],
) -> tuple[Any, Any]:
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        slope,
        x,
        weight,
        None,
        [stride, stride],
        padding,
        [dilation, dilation],
        False,
        [0, 0],
        len(weight),
        [*needed, False],
    )
    return of_x, of_weight


def subgrids(
    x: Tensor, step: int, copies: int = 1, rows: int = 0, columns: tuple[int, int] = (0, 0)
) -> Tensor:
    """The ``step * step`` interleaved grids of a map, on each of which a dilation is none.

    Args:
        x: ``(B, C, H, W)``; sides that `step` does not divide are padded with zeros.
        step: How many grids on each axis.
        copies: How often to repeat the channels.
        rows: Grids of fewer rows are padded with zeros.
        columns: How many of zeros to add on the left and on the right.

    Returns:
        ``(step * step * B, copies * C, H', W')`` in channels_last, written in one go. In memory,
        zeros for the columns on the right precede it.
    """
    left, right = columns
    if step == 1 and left == right == 0 and rows <= x.shape[2]:
        return repeated(x, copies).contiguous(memory_format=torch.channels_last)
    if x.shape[2] % step or x.shape[3] % step:
        x = pad(x, (0, -x.shape[3] % step, 0, -x.shape[2] % step))
    images, channels, *sides = x.shape
    height, width = (side // step for side in sides)
    grids = x.permute(0, 2, 3, 1).reshape(images, height, step, width, step, channels)
    grids = grids.permute(2, 4, 0, 1, 3, 5).unsqueeze(5)  # (step, step, B, H', W', 1, C)
    shape = (step, step, images, max(height, rows), left + width + right, copies, channels)
    before = right * copies * channels
    memory = x.new_empty(before + math.prod(shape))
    result = memory[before:].view(shape)
    inside = result.narrow(3, 0, height).narrow(4, left, width)
    if inside.shape != shape:
        memory[:before].zero_()
        result.narrow(3, height, shape[3] - height).zero_()
        result.narrow(4, 0, left).zero_()
        result.narrow(4, left + width, right).zero_()
    inside.copy_(grids.expand_as(inside))
    return result.view(-1, *shape[3:5], copies * channels).permute(0, 3, 1, 2)


def _moved(x: Tensor, columns: int) -> Tensor:
    """What `subgrids` returned, moved to the right by the columns it added there."""
    return x.as_strided(x.shape, x.stride(), x.storage_offset() - columns * x.shape[1])
