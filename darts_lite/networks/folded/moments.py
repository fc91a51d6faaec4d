"""Maps as rows, and the moments of rows.

Rows are maps seen as ``(edges, N, C)``, N = B * H * W: a map ``(B, edges * C, H, W)`` in
channels_last is such rows without a copy. Moments are computed in float32 or wider.

The functions are written out because a search spends its time here; their backward passes are made
of differentiable calls, so that they have gradients themselves.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.distributed.batch_norm import joint, wide
from darts_lite.space.depthwise import depthwise, depthwise_gradients, repeated


def rows_of(x: Tensor, edges: int) -> Tensor:
    """``(B, edges * C, H, W)`` -> rows ``(edges, N, C)``; a view where x is in channels_last."""
    channels = x.shape[1] // edges
    return x.permute(0, 2, 3, 1).reshape(-1, edges, channels).transpose(0, 1)


def map_of(rows: Tensor, size: Sequence[int]) -> Tensor:
    """Rows ``(edges, N, C)`` -> ``(B, edges * C, H, W)`` for ``size`` (B, H, W)."""
    edges, _, channels = rows.shape
    return rows.transpose(0, 1).reshape(*size, edges * channels).permute(0, 3, 1, 2)


class Moments(NamedTuple):
    """Rows of several operations with their statistics, operations = len(rows) * edges."""

    rows: Sequence[Tensor]  # each (edges, N, C)
    mean: Tensor  # (operations, C)
    covariance: Tensor  # (operations, C, C)


def _moments(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    edges, count, channels = rows[0].shape
    if count < 2:
        raise ValueError(
            f"norms need more than one value per channel in training, got {count}; take larger "
            "batches or images, or fewer reducing cells"
        )
    mean = rows[0].new_empty(len(rows), edges * channels, dtype=wide(rows[0].dtype))
    exact = [row.to(mean.dtype) for row in rows]
    for row, result in zip(exact, mean, strict=True):  # seen flat, which is summed faster
        torch.mean(row.transpose(0, 1).reshape(count, edges * channels), dim=0, out=result)
    mean = mean.view(-1, channels)
    covariance = mean.unsqueeze(2) * mean.unsqueeze(1)
    for row, result in zip(exact, covariance.split(edges), strict=True):
        result.baddbmm_(row.mT, row, beta=-1, alpha=1 / count)
    return mean, covariance


def _moments_gradients(
    rows: Sequence[Tensor],
    mean: Tensor,
    of_rows: Sequence[Tensor],
    of_mean: Tensor,
    of_covariance: Tensor,
) -> list[Tensor]:
    """All three gradients in one: the statistics cost a product with a ``(C, C)`` matrix.

    Those of the rows are overwritten where they are a `product`, which nobody else holds.
    """
    edges, count, channels = rows[0].shape
    matrices = (of_covariance + of_covariance.mT) / count  # (operations, C, C)
    constants = of_mean.unsqueeze(1) / count - mean.unsqueeze(1) @ matrices  # (operations, 1, C)
    gradients = []
    parts = zip(rows, of_rows, constants.split(edges), matrices.split(edges), strict=True)
    for row, slope, constant, matrix in parts:
        exact = row.to(matrix.dtype)
        if torch.is_grad_enabled() or torch.compiler.is_compiling():  # no writing into slices
            gradient = slope + constant + exact @ matrix
        else:
            gradient = slope.to(matrix.dtype).transpose(0, 1).contiguous()  # (N, edges, C)
            gradient.view(count, -1).add_(constant.flatten())
            gradient = gradient.transpose(0, 1).baddbmm_(exact, matrix)
        gradients.append(gradient.to(row.dtype))
    return gradients


def product(rows: Tensor, matrix: Tensor) -> Tensor:
    """``rows @ matrix`` in the order of a map, which the next backward pass needs, where it can."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or rows.dtype != wide(rows.dtype):
        return rows @ matrix
    edges, count, _ = rows.shape
    result = rows.new_empty(count, edges, matrix.shape[2]).transpose(0, 1)
    return result.baddbmm_(rows, matrix, beta=0)


def row_moments(rows: Tensor) -> Moments:
    """Statistics of rows ``(edges, N, C)``; go on with the rows of the result."""
    result, mean, covariance = _RowMoments.apply(rows)
    return Moments([result], *joint(mean, covariance))


class _RowMoments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> tuple[Tensor, ...]:
        mean, covariance = _moments([rows])
        ctx.save_for_backward(rows, mean)
        return rows.view_as(rows), mean, covariance

    @staticmethod
    def backward(ctx: Any, of_rows: Tensor, of_mean: Tensor, of_covariance: Tensor) -> Tensor:
        rows, mean = ctx.saved_tensors
        return _moments_gradients([rows], mean, [of_rows], of_mean, of_covariance)[0]


class DepthwiseCall(NamedTuple):
    """One depthwise convolution on all edges of a bank."""

    x: Tensor  # (B, edges * C, H, W), or (B, C, H, W) where the edges share it
    kernels: Tensor  # (edges * C, 1, k, k)
    stride: int
    dilation: int


def depthwise_moments(calls: Sequence[DepthwiseCall], edges: int) -> Moments:
    """Depthwise convolutions with results of one shape, as rows with their statistics."""
    settings = [(call.stride, call.dilation) for call in calls]
    xs: list[Tensor] = []
    reads: list[int] = []  # which of the xs each call reads
    for call in calls:
        reads.append(next((i for i, x in enumerate(xs) if x is call.x), len(xs)))
        xs += [call.x] if reads[-1] == len(xs) else []
    kernels = [call.kernels for call in calls]
    *rows, mean, covariance = _DepthwiseMoments.apply(edges, settings, reads, *xs, *kernels)
    return Moments(rows, *joint(mean, covariance))


class _DepthwiseMoments(torch.autograd.Function):
    """What the edges share is repeated for them here, and again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        edges: int,
        settings: Sequence[tuple[int, int]],
        reads: Sequence[int],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        xs, kernels = tensors[: -len(reads)], tensors[-len(reads) :]
        channels = len(kernels[0])
        expanded = [repeated(x, channels // x.shape[1]) for x in xs]
        rows = [
            rows_of(depthwise(expanded[read], weight, stride, dilation), edges)
            for read, weight, (stride, dilation) in zip(reads, kernels, settings, strict=True)
        ]
        mean, covariance = _moments(rows)
        ctx.save_for_backward(mean, *rows, *tensors)
        ctx.settings, ctx.reads = settings, reads
        return *rows, mean, covariance

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        mean, *saved = ctx.saved_tensors
        calls = len(ctx.reads)
        rows, xs, kernels = saved[:calls], saved[calls:-calls], saved[-calls:]
        *of_rows, of_mean, of_covariance = slopes
        of_maps = _moments_gradients(rows, mean, of_rows, of_mean, of_covariance)
        of_xs: list[Tensor | None] = [None] * len(xs)
        of_kernels: list[Tensor | None] = []
        needed = ctx.needs_input_grad[3:]
        for call, (read, (stride, dilation)) in enumerate(
            zip(ctx.reads, ctx.settings, strict=True)
        ):
            x = xs[read]
            size = (len(x), *(-(-side // stride) for side in x.shape[2:]))
            of_x, of_kernel = depthwise_gradients(
                x,
                kernels[call],
                map_of(of_maps[call], size),
                stride,
                dilation,
                (needed[read], needed[len(xs) + call]),
            )
            of_xs[read] = total(of_xs[read], of_x)
            of_kernels.append(of_kernel)
        for i, (x, of_x) in enumerate(zip(xs, of_xs, strict=True)):
            if of_x is not None and of_x.shape[1] > x.shape[1]:
                copies = rows_of(of_x, of_x.shape[1] // x.shape[1])
                of_xs[i] = map_of(copies.sum(dim=0, keepdim=True), size_of(x))
        return None, None, None, *of_xs, *of_kernels


def total(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The sum of two gradients, none of them being zero; the first is overwritten if it may be."""
    if first is None or second is None:
        return second if first is None else first
    return first + second if torch.is_grad_enabled() else first.add_(second)


def size_of(x: Tensor) -> tuple[int, int, int]:
    """B, H, W of ``(B, C, H, W)``."""
    return x.shape[0], x.shape[2], x.shape[3]
