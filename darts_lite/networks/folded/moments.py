"""Maps as rows, and the moments of rows.

Rows are maps seen as ``(edges, N, C)``, N = B * H * W: a map ``(B, edges * C, H, W)`` in
channels_last is such rows without a copy. Moments are computed in float32 or wider.

The functions are written out because a search spends its time here. Their backward passes consist
of differentiable calls, so second-order gradients exist. ``grad_x`` is the gradient in x.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.distributed.batch_norm import join_statistics, widen
from darts_lite.space.depthwise import depthwise, depthwise_gradients, repeat_channels


def to_rows(x: Tensor, edges: int) -> Tensor:
    """Returns ``(B, edges * C, H, W)`` as rows ``(edges, N, C)``; a view if x is channels_last."""
    channels = x.shape[1] // edges
    return x.permute(0, 2, 3, 1).reshape(-1, edges, channels).transpose(0, 1)


def to_map(rows: Tensor, size: Sequence[int]) -> Tensor:
    """Returns rows ``(edges, N, C)`` as a map ``(B, edges * C, H, W)`` for ``size`` (B, H, W)."""
    edges, _, channels = rows.shape
    return rows.transpose(0, 1).reshape(*size, edges * channels).permute(0, 3, 1, 2)


class Moments(NamedTuple):
    """Rows of several operations with their statistics, operations = len(rows) * edges."""

    rows: Sequence[Tensor]  # each (edges, N, C)
    mean: Tensor  # (operations, C)
    covariance: Tensor  # (operations, C, C)


def _compute_moments(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    edges, count, channels = rows[0].shape
    if count < 2:
        raise ValueError(
            f"norms need more than one value per channel in training, got {count}; take larger "
            "batches or images, or fewer reducing cells"
        )
    mean = rows[0].new_empty(len(rows), edges * channels, dtype=widen(rows[0].dtype))
    exact = [row.to(mean.dtype) for row in rows]
    # m = sum_n d_n / N, over rows seen as (N, edges * C), which torch sums faster.
    for row, result in zip(exact, mean, strict=True):
        torch.mean(row.transpose(0, 1).reshape(count, edges * channels), dim=0, out=result)
    mean = mean.view(-1, channels)  # (operations, C)
    # S = sum_n d_n d_n' / N - m m', written over m m': (operations, C, C).
    covariance = mean.unsqueeze(2) * mean.unsqueeze(1)
    for row, result in zip(exact, covariance.split(edges), strict=True):
        result.baddbmm_(row.mT, row, beta=-1, alpha=1 / count)
    return mean, covariance


def _compute_row_gradients(
    rows: Sequence[Tensor],
    mean: Tensor,
    grad_rows: Sequence[Tensor],
    grad_mean: Tensor,
    grad_covariance: Tensor,
) -> list[Tensor]:
    """Adds the gradients that reach the rows directly, through the mean and the covariance.

    With G = grad_covariance, row d_n receives ``grad_mean / N + (G + G') (d_n - m) / N``: a product
    with a ``(C, C)`` matrix and a constant. Gradients of the rows that are results of `multiply`,
    which nothing else holds, are overwritten.
    """
    edges, count, channels = rows[0].shape
    # The part that multiplies d_n, (operations, C, C), and the constant one, (operations, 1, C).
    matrices = (grad_covariance + grad_covariance.mT) / count
    constants = grad_mean.unsqueeze(1) / count - mean.unsqueeze(1) @ matrices
    gradients = []
    parts = zip(rows, grad_rows, constants.split(edges), matrices.split(edges), strict=True)
    for row, grad_row, constant, matrix in parts:
        exact = row.to(matrix.dtype)  # (edges, N, C)
        if torch.is_grad_enabled() or torch.compiler.is_compiling():  # no writing into slices
            gradient = grad_row + constant + exact @ matrix
        else:
            # The same in place, in the order of a map: (N, edges, C).
            gradient = grad_row.to(matrix.dtype).transpose(0, 1).contiguous()
            gradient.view(count, -1).add_(constant.flatten())
            gradient = gradient.transpose(0, 1).baddbmm_(exact, matrix)
        gradients.append(gradient.to(row.dtype))
    return gradients


def multiply(rows: Tensor, matrix: Tensor) -> Tensor:
    """Returns ``rows @ matrix``, if possible in a map's memory order, which the next pass needs."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or rows.dtype != widen(rows.dtype):
        return rows @ matrix
    edges, count, _ = rows.shape
    result = rows.new_empty(count, edges, matrix.shape[2]).transpose(0, 1)  # (edges, N, C_out)
    return result.baddbmm_(rows, matrix, beta=0)


def compute_row_moments(rows: Tensor) -> Moments:
    """Computes the statistics of rows ``(edges, N, C)``; continue with the rows of the result."""
    result, mean, covariance = _RowMoments.apply(rows)
    return Moments([result], *join_statistics(mean, covariance))


class _RowMoments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> tuple[Tensor, ...]:
        mean, covariance = _compute_moments([rows])
        ctx.save_for_backward(rows, mean)
        return rows.view_as(rows), mean, covariance

    @staticmethod
    def backward(ctx: Any, grad_rows: Tensor, grad_mean: Tensor, grad_covariance: Tensor) -> Tensor:
        rows, mean = ctx.saved_tensors
        return _compute_row_gradients([rows], mean, [grad_rows], grad_mean, grad_covariance)[0]


class DepthwiseCall(NamedTuple):
    """One depthwise convolution on all edges of a bank."""

    x: Tensor  # (B, edges * C, H, W), or (B, C, H, W) where the edges share it
    kernels: Tensor  # (edges * C, 1, k, k)
    stride: int
    dilation: int


def compute_depthwise_moments(calls: Sequence[DepthwiseCall], edges: int) -> Moments:
    """Computes depthwise convolutions with results of one shape, as rows with their statistics."""
    settings = [(call.stride, call.dilation) for call in calls]
    xs: list[Tensor] = []
    reads: list[int] = []  # index in xs that each call reads
    for call in calls:
        reads.append(next((i for i, x in enumerate(xs) if x is call.x), len(xs)))
        xs += [call.x] if reads[-1] == len(xs) else []
    kernels = [call.kernels for call in calls]
    *rows, mean, covariance = _DepthwiseMoments.apply(edges, settings, reads, *xs, *kernels)
    return Moments(rows, *join_statistics(mean, covariance))


class _DepthwiseMoments(torch.autograd.Function):
    """Depthwise convolutions and their moments; shared inputs are repeated anew in each pass."""

    @staticmethod
    def forward(
        ctx: Any, edges: int, settings: list[tuple[int, int]], reads: list[int], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        xs, kernels = tensors[: -len(reads)], tensors[-len(reads) :]
        channels = len(kernels[0])  # edges * C
        expanded = [repeat_channels(x, channels // x.shape[1]) for x in xs]
        rows = [
            to_rows(depthwise(expanded[read], weight, stride, dilation), edges)
            for read, weight, (stride, dilation) in zip(reads, kernels, settings, strict=True)
        ]
        mean, covariance = _compute_moments(rows)
        ctx.save_for_backward(mean, *rows, *tensors)
        ctx.settings, ctx.reads = settings, reads
        return *rows, mean, covariance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        mean, *saved = ctx.saved_tensors
        calls = len(ctx.reads)
        rows, xs, kernels = saved[:calls], saved[calls:-calls], saved[-calls:]
        *grad_rows, grad_mean, grad_covariance = gradients
        # Through the moments: one gradient (edges, N, C) per call.
        grad_maps = _compute_row_gradients(rows, mean, grad_rows, grad_mean, grad_covariance)
        grad_xs: list[Tensor | None] = [None] * len(xs)
        grad_kernels: list[Tensor | None] = []
        needed = ctx.needs_input_grad[3:]
        # Through each convolution, with the gradients of calls that read one x added up.
        for call, read in enumerate(ctx.reads):
            x, (stride, dilation) = xs[read], ctx.settings[call]
            size = (len(x), *(-(-side // stride) for side in x.shape[2:]))  # B, H', W'
            grad_map = to_map(grad_maps[call], size)  # (B, edges * C, H', W')
            wanted = needed[read], needed[len(xs) + call]
            grad_x, grad_kernel = depthwise_gradients(
                x, kernels[call], grad_map, stride, dilation, wanted
            )
            grad_xs[read] = add_gradients(grad_xs[read], grad_x)
            grad_kernels.append(grad_kernel)
        # Through the repetition: where the edges share x, (B, edges * C, H, W) -> (B, C, H, W).
        for i, (x, grad_x) in enumerate(zip(xs, grad_xs, strict=True)):
            if grad_x is not None and grad_x.shape[1] > x.shape[1]:
                copies = to_rows(grad_x, grad_x.shape[1] // x.shape[1])
                grad_xs[i] = to_map(copies.sum(dim=0, keepdim=True), size_of(x))
        return None, None, None, *grad_xs, *grad_kernels


def add_gradients(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Adds two gradients, where None means zero; may reuse the first one's memory."""
    if first is None or second is None:
        return second if first is None else first
    return first + second if torch.is_grad_enabled() else first.add_(second)


def size_of(x: Tensor) -> tuple[int, int, int]:
    """Returns B, H, W of ``(B, C, H, W)``."""
    return x.shape[0], x.shape[2], x.shape[3]
