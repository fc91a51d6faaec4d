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

Hence three replacements: the input gradient becomes a forward convolution with the flipped kernel;
a weight gradient with dilation becomes one without dilation on interleaved subgrids; and one of
five columns is joined from two of three columns. Kernels of one row, for signals, get theirs as
those of one column on the turned map: 1x9 on ``(64, 64, 1, 512)`` takes 1.3 ms instead of 7.8, of
15 columns 2.1 instead of 29.7 (one core with AVX-512). On other devices and dtypes torch chooses.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from darts_lite.space.maps import find_padding, make_shape

CACHED_BYTES = 2**23
"""Approximate size, in bytes, of a map that is still in the cache when the next call reads it."""

HAS_ONEDNN = torch.backends.mkldnn.is_available()

FAST_COLUMNS = 3
"""Largest number of kernel columns for which oneDNN's weight gradient is fast."""


class DepthwiseConv2d(nn.Conv2d):
    """One kernel of ``size x size``, or of one row, per channel; computes `depthwise`."""

    def __init__(
        self, channels: int, size: int, stride: int = 1, dilation: int = 1, axes: int = 2
    ) -> None:
        kernel, strides = make_shape(size, axes), make_shape(stride, axes)
        height, width = find_padding(kernel)
        super().__init__(
            channels,
            channels,
            kernel,
            strides,
            (dilation * height, dilation * width),
            dilation,
            groups=channels,
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        return depthwise(x, self.weight, self.stride[-1], self.dilation[0])


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Computes a depthwise convolution with odd kernels, padded by ``dilation * (size // 2)``.

    ``(B, C, H, W)`` -> ``(B, C, ceil(H / stride), ceil(W / stride))``. The weight is
    ``(C, 1, size, size)``, or ``(C, 1, 1, size)`` for maps of one row; one output reads pixels that
    lie `dilation` apart.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")  # on a CPU slower than float32
        with torch.autocast("cpu", enabled=False):
            return depthwise(x.float(), weight.float(), stride, dilation).to(dtype)
    if stride == dilation > 1:  # all pixels that are read lie on one subsampled grid
        x, stride, dilation = x[:, :, ::stride, ::stride], 1, 1
    if torch.is_grad_enabled() and _has_slow_gradients(x, weight, stride, dilation):
        return _Depthwise.apply(x, weight, stride, dilation)
    return _convolve(x, weight, stride, dilation)


def depthwise_gradients(
    x: Tensor,
    weight: Tensor,
    grad_output: Tensor,
    stride: int,
    dilation: int,
    needed: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Computes the gradients of `depthwise` in x and in the weight; None where not `needed`.

    Args:
        x: As for `depthwise`, but its channels need not be repeated yet (`repeat_channels`),
            ``(B, C / copies, H, W)``.
        weight: As for `depthwise`, and likewise the next two.
        stride: Step of the windows.
        dilation: Distance of the weights.
        grad_output: Gradient in its result, ``(B, C, H', W')``.
        needed: Whether the gradients in x, with repeated channels, and in the weight are needed.
    """
    rows, size = weight.shape[2:]
    grad_x = grad_weight = None
    if _has_slow_gradients(x, weight, stride, dilation):
        if needed[1] and rows == 1:
            turned = _turn_row(x), _turn_row(grad_output)
            grad_weight = _compute_kernel_gradient(*turned, size, 1, stride).mT
        elif needed[1]:
            grad_weight = compute_weight_gradient(x, grad_output, size, stride, dilation)
        if needed[0] and stride == 1:
            # Each input pixel receives grad_output through the kernel read backwards in both
            # axes: a convolution with the flipped kernel, (B, C, H, W).
            return depthwise(grad_output, weight.flip(2, 3), dilation=dilation), grad_weight
        needed = (needed[0], False)
    if any(needed):
        # Everything else is left to torch.
        x = repeat_channels(x, grad_output.shape[1] // x.shape[1])  # (B, C, H, W)
        padding = [dilation * side for side in find_padding(weight.shape)]
        grad_x, rest = _backpropagate(grad_output, x, weight, stride, padding, dilation, needed)
        grad_weight = rest if grad_weight is None else grad_weight
    return grad_x, grad_weight


def _convolve(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = [dilation * side for side in find_padding(weight.shape)]
    return conv2d(x, weight, None, stride, padding, dilation, len(weight))


def _has_slow_gradients(x: Tensor, weight: Tensor, stride: int, dilation: int) -> bool:
    rows, columns = weight.shape[2:]
    if rows == 1:
        is_slow = x.shape[2] == 1 and columns > FAST_COLUMNS and dilation == 1
    else:
        is_slow = columns in (3, 5) and (
            dilation > 1 or columns > FAST_COLUMNS or len(weight) > x.shape[1]
        )
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and (stride == 1 or (stride == 2 and dilation == 1))
        and is_slow
        and HAS_ONEDNN
        and not torch.is_autocast_enabled("cpu")
    )


class _Depthwise(torch.autograd.Function):
    """`depthwise` with fast gradients, which are differentiable calls themselves."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return _convolve(x.contiguous(memory_format=torch.channels_last), weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad[:2]
        gradients = depthwise_gradients(x, weight, grad_output, ctx.stride, ctx.dilation, needed)
        return *gradients, None, None


def compute_weight_gradient(
    x: Tensor, grad_output: Tensor, size: int, stride: int, dilation: int
) -> Tensor:
    """Computes the gradient of a depthwise convolution in its weight with the fast kernels.

    Args:
        x: The convolution's input, ``(B, C, H, W)``.
        grad_output: Gradient in its output, ``(B, copies * C, H', W')``.
        size: 3 or 5, rows and columns of the kernels.
        stride: 1 or 2.
        dilation: 1 where there is a stride.

    Returns:
        ``(copies * C, 1, size, size)``.
    """
    # The gradient is a sum over images, taken in groups of images whose maps fit into the cache.
    images = max(1, len(x) * CACHED_BYTES // (grad_output.numel() * grad_output.element_size()))
    groups = zip(x.split(images), grad_output.split(images), strict=True)
    gradients = [_compute_group_gradient(*group, size, stride, dilation) for group in groups]
    return torch.stack(gradients).sum(dim=0) if len(gradients) > 1 else gradients[0]


def _compute_group_gradient(
    x: Tensor, grad_output: Tensor, size: int, stride: int, dilation: int
) -> Tensor:
    copies = grad_output.shape[1] // x.shape[1]
    if size <= FAST_COLUMNS:
        # Pixels that one output reads lie on one subgrid, where they are neighbours: no dilation.
        x = split_grids(x, dilation, copies)
        grad_output = split_grids(grad_output, dilation)
        return _compute_kernel_gradient(x, grad_output, size, size, stride)
    # Five columns come from two kernels of three, whose outputs lie two input columns apart; both
    # contain the middle column. The fast kernels need at least `size` rows.
    moved = 2 // stride
    x = split_grids(x, dilation, copies, rows=size, columns=(1, 1))
    grad_output = split_grids(grad_output, dilation, rows=-(-size // stride), columns=(0, moved))
    left = _compute_kernel_gradient(x, grad_output, size, FAST_COLUMNS, stride)  # (C, 1, 5, 3)
    right = _compute_kernel_gradient(x, _move_right(grad_output, moved), size, FAST_COLUMNS, stride)
    return torch.cat([left, right[..., 1:]], dim=-1)  # columns 0 to 2 and 3 to 4


def repeat_channels(x: Tensor, copies: int) -> Tensor:
    """Returns ``(B, copies * C, H, W)`` in channels_last, all channels of x copy by copy."""
    if copies == 1:
        return x
    rows = x.permute(0, 2, 3, 1).unsqueeze(3)  # (B, H, W, 1, C)
    return rows.expand(-1, -1, -1, copies, -1).flatten(3).permute(0, 3, 1, 2)


def _compute_kernel_gradient(
    x: Tensor, grad_output: Tensor, rows: int, columns: int, stride: int
) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    grad_output = grad_output.contiguous(memory_format=torch.channels_last)
    kernel = x.new_empty(x.shape[1], 1, rows, columns)  # only its shape is read
    padding = [rows // 2, columns // 2]
    return _backpropagate(grad_output, x, kernel, stride, padding, 1, (False, True))[1]


def _turn_row(x: Tensor) -> Tensor:
    """Returns a map of one row ``(B, C, 1, W)`` as one column ``(B, C, W, 1)``, channels last.

    It lies in the same memory; a transposed view would have strides that oneDNN does not know.
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2).unsqueeze(2).permute(0, 3, 1, 2)


def _backpropagate(
    grad_output: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    padding: list[int],
    dilation: int,
    needed: Sequence[bool],
) -> tuple[Any, Any]:
    geometry = [stride, stride], padding, [dilation, dilation]
    # Behind the geometry: not transposed, no output padding, one group per channel.
    grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
        grad_output, x, weight, None, *geometry, False, [0, 0], len(weight), [*needed, False]
    )
    return grad_x, grad_weight


def split_grids(
    x: Tensor, step: int, copies: int = 1, rows: int = 0, columns: tuple[int, int] = (0, 0)
) -> Tensor:
    """Splits a map into ``step * step`` interleaved grids, on which a dilation of `step` is 1.

    Args:
        x: ``(B, C, H, W)``; sides that `step` does not divide are padded with zeros.
        step: Number of grids on each axis.
        copies: Number of times that the channels are repeated.
        rows: Smallest number of rows; grids with fewer are padded with zeros.
        columns: Numbers of columns of zeros to add on the left and on the right.

    Returns:
        ``(step * step * B, copies * C, H', W')`` in channels_last, written in one go. In memory,
        as many zeros as the columns on the right have precede it.
    """
    left, right = columns
    if step == 1 and left == right == 0 and rows <= x.shape[2]:
        return repeat_channels(x, copies).contiguous(memory_format=torch.channels_last)
    if x.shape[2] % step or x.shape[3] % step:
        x = pad(x, (0, -x.shape[3] % step, 0, -x.shape[2] % step))
    images, channels, *sides = x.shape
    height, width = (side // step for side in sides)
    # Pixel (y, x) goes to grid (y % step, x % step), which becomes part of the batch dimension.
    grids = x.permute(0, 2, 3, 1).reshape(images, height, step, width, step, channels)
    grids = grids.permute(2, 4, 0, 1, 3, 5).unsqueeze(5)  # (step, step, B, H', W', 1, C)
    # The result lies behind `before` zeros, so that `_move_right` may look in front of it.
    shape = (step, step, images, max(height, rows), left + width + right, copies, channels)
    before = right * copies * channels
    memory = x.new_empty(before + math.prod(shape))
    result = memory[before:].view(shape)
    # Zeros go to the added rows and columns only; the pixels are written over the rest.
    inside = result.narrow(3, 0, height).narrow(4, left, width)
    if inside.shape != shape:
        memory[:before].zero_()
        result.narrow(3, height, shape[3] - height).zero_()
        result.narrow(4, 0, left).zero_()
        result.narrow(4, left + width, right).zero_()
    inside.copy_(grids.expand_as(inside))
    return result.view(-1, *shape[3:5], copies * channels).permute(0, 3, 1, 2)


def _move_right(x: Tensor, columns: int) -> Tensor:
    """Moves a result of `split_grids` by the columns of zeros that it has on the right.

    The view begins `columns` pixels earlier in memory: each row starts with the zeros that end the
    row before it, and the first row with the zeros in front of the result.
    """
    return x.as_strided(x.shape, x.stride(), x.storage_offset() - columns * x.shape[1])
