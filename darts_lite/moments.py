"""Batch norms that are known before their input is computed.

A 1x1 convolution ``z = P d`` of rows d with mean m and covariance S has the mean ``P m`` and the
variance ``diag(P S P')``. So a norm behind it needs m and S alone, which are small, and can become
part of the convolution; z itself, its norm and what is made of them need not be written.

Rows are maps seen as ``(edges, N, C)``, N = B * H * W: a map ``(B, edges * C, H, W)`` in
channels_last is such rows without a copy. Statistics are computed in float32 or wider.

The functions here are written out because they are where a search spends its time; each backward
pass is made of differentiable calls, so that it has gradients itself.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from darts_lite.depthwise import depthwise, depthwise_gradients, repeated

MOMENTUM = 0.1
"""How far each batch moves the running statistics; torch's default, which all norms here have."""


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type in which statistics are computed: float32, or `dtype` where that is wider."""
    return torch.promote_types(dtype, torch.float32)


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
    """All three gradients in one: the statistics cost a product with a ``(C, C)`` matrix."""
    edges, count, channels = rows[0].shape
    matrices = (of_covariance + of_covariance.mT) / count  # (operations, C, C)
    constants = of_mean.unsqueeze(1) / count - mean.unsqueeze(1) @ matrices  # (operations, 1, C)
    gradients = []
    parts = zip(rows, of_rows, constants.split(edges), matrices.split(edges), strict=True)
    for row, slope, constant, matrix in parts:
        exact = row.to(matrix.dtype)
        if torch.is_grad_enabled():  # this gradient is to be differentiated itself
            total = slope + constant + exact @ matrix
        else:  # in the order of a map, so that a convolution's backward pass needs no copy
            total = exact.new_empty(count, edges, channels).transpose(0, 1)
            torch.add(slope, constant, out=total)
            total.baddbmm_(exact, matrix)
        gradients.append(total.to(row.dtype))
    return gradients


def row_moments(rows: Tensor) -> Moments:
    """Statistics of rows ``(edges, N, C)``; go on with the rows of the result."""
    result, mean, covariance = _RowMoments.apply(rows)
    return Moments([result], mean, covariance)


class _RowMoments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> tuple[Tensor, ...]:
        mean, covariance = _moments([rows])
        ctx.save_for_backward(rows, mean)
        return rows.view_as(rows), mean, covariance

    @staticmethod
    def backward(ctx: Any, of_rows: Tensor, of_mean: Tensor, of_covariance: Tensor) -> Tensor:  # type: ignore[override]
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
    return Moments(rows, mean, covariance)


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
            rows_of(depthwise(expanded[read], weight, None, stride, dilation), edges)
            for read, weight, (stride, dilation) in zip(reads, kernels, settings, strict=True)
        ]
        mean, covariance = _moments(rows)
        ctx.save_for_backward(mean, *rows, *tensors)
        ctx.settings, ctx.reads = settings, reads
        return *rows, mean, covariance

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
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


class Statistics(NamedTuple):
    """What norms do to ``z = P d``: ``(z - mean) * scale``."""

    mean: Tensor  # (operations, C)
    scale: Tensor  # (operations, C), 1 / standard deviation


def batch_statistics(
    moments: Moments,
    matrix: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    running: "RunningStatistics",
) -> Statistics:
    """Norms in training behind the 1x1 convolutions ``P d`` of rows d.

    Args:
        moments: Of d, of as many operations or of one that all share.
        matrix: P, ``(operations, C, C_in)``.
        norms: One per operation.
        running: Takes the statistics of the batch.
    """
    eps, count = norms[0].eps, moments.rows[0].shape[1]
    mean, scale, variance = _StatisticsBehind.apply(matrix, moments.mean, moments.covariance, eps)
    running.add(norms, mean.detach(), variance * (count / (count - 1)))
    return Statistics(mean, scale)


def running_statistics(norms: Sequence[nn.BatchNorm2d]) -> Statistics:
    """Norms in evaluation."""
    mean = torch.stack([cast(Tensor, norm.running_mean) for norm in norms])
    variance = torch.stack([cast(Tensor, norm.running_var) for norm in norms])
    return Statistics(mean, (variance + norms[0].eps).rsqrt())


class _StatisticsBehind(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, matrix: Tensor, mean: Tensor, covariance: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        projected = matrix @ covariance  # P S
        variance = (projected * matrix).sum(dim=2).clamp_min_(0)
        scale = (variance + eps).rsqrt_()
        ctx.save_for_backward(matrix, mean, covariance, scale)
        ctx.mark_non_differentiable(variance)
        return (matrix @ mean.unsqueeze(2)).squeeze(2), scale, variance

    @staticmethod
    def backward(
        ctx: Any, of_mean: Tensor, of_scale: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        matrix, mean, covariance, scale = ctx.saved_tensors
        column = of_mean.unsqueeze(2)  # (operations, C, 1)
        of_variance = (-0.5 * of_scale * scale**3).unsqueeze(2)
        scaled = of_variance * matrix
        of_matrix = None
        if ctx.needs_input_grad[0]:
            of_matrix = column * mean.unsqueeze(1) + 2 * scaled @ covariance
        of_input_mean = (column * matrix).sum(dim=1)
        of_covariance = matrix.mT @ scaled
        if mean.shape[0] < matrix.shape[0]:  # the operations share d
            of_input_mean = of_input_mean.sum(dim=0, keepdim=True)
            of_covariance = of_covariance.sum(dim=0, keepdim=True)
        return of_matrix, of_input_mean, of_covariance, None


def pointwise_relu(rows: Tensor, matrix: Tensor, mean: Tensor, size: Sequence[int]) -> Tensor:
    """``relu(P d - mean)`` as a map ``(B, edges * C, H, W)``; only the result is kept.

    Args:
        rows: d, ``(edges, N, C_in)``.
        matrix: P, ``(edges, C, C_in)``.
        mean: ``(edges, C)``.
        size: B, H, W.
    """
    return _PointwiseReLU.apply(rows, matrix, mean, size)


class _PointwiseReLU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, matrix: Tensor, mean: Tensor, size: Sequence[int]
    ) -> Tensor:
        edges, count, _ = rows.shape
        result = rows.new_empty(count, edges, matrix.shape[1]).copy_(mean.neg())
        result.transpose(0, 1).baddbmm_(rows, matrix.to(rows.dtype).mT)
        result = map_of(result.relu_().transpose(0, 1), size)
        ctx.save_for_backward(rows, matrix, result)
        return result

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        rows, matrix, result = ctx.saved_tensors
        slope = torch.ops.aten.threshold_backward(slope, result, 0)
        slope = rows_of(slope, rows.shape[0])
        of_matrix = None
        if ctx.needs_input_grad[1]:
            of_matrix = (slope.mT @ rows).to(matrix.dtype)
        of_mean = -slope.sum(dim=1, dtype=matrix.dtype)
        return slope @ matrix.to(rows.dtype), of_matrix, of_mean, None


class Term(NamedTuple):
    """What a candidate adds to the nodes of a bank: ``matrix @ row + bias`` for each row."""

    rows: Tensor  # (edges or 1, N, C_in)
    matrix: Tensor  # (edges, C, C_in)
    bias: Tensor  # (edges, C)


def mix(
    terms: Sequence[Term], maps: Sequence[Tensor], shares: Tensor, size: Sequence[int]
) -> tuple[Tensor, ...]:
    """The sum of terms and of weighted maps, for each edge.

    Args:
        terms: At least one term or map.
        maps: The same on all edges, ``(B, C, H, W)`` each.
        shares: Their weights, ``(edges, maps)``.
        size: B, H, W.

    Returns:
        Per edge ``(B, C, H, W)``.
    """
    bias = sum_of(term.bias for term in terms) if terms else None
    matrices = [term.matrix for term in terms]
    rows = [term.rows for term in terms]
    return _Mix.apply(size, len(maps), shares, bias, *maps, *rows, *matrices)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        size: Sequence[int],
        maps_count: int,
        shares: Tensor,
        bias: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(shares, *tensors)
        ctx.maps_count = maps_count
        maps, rows, matrices = _parts(tensors, maps_count)
        edges = shares.shape[0]
        like = rows[0] if rows else rows_of(maps[0], 1)
        channels = matrices[0].shape[1] if matrices else like.shape[2]
        if bias is None:
            result = like.new_zeros(edges, like.shape[1], channels)
        else:
            result = like.new_empty(edges, like.shape[1], channels).copy_(bias.unsqueeze(1))
        for x, share in zip(maps, shares.to(like.dtype).T, strict=True):
            result.addcmul_(share.view(edges, 1, 1), rows_of(x, 1))
        for row, matrix in zip(rows, matrices, strict=True):
            result.baddbmm_(row.expand(edges, -1, -1), matrix.to(row.dtype).mT)
        return tuple(map_of(edge.unsqueeze(0), size) for edge in result.unbind())

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        shares, *tensors = ctx.saved_tensors
        maps, rows, matrices = _parts(tensors, ctx.maps_count)
        slope = torch.cat([rows_of(edge, 1) for edge in slopes])  # (edges, N, C)
        flat = slope.flatten(1)
        of_shares = [flat @ rows_of(x, 1).flatten() for x in maps]
        of_maps = [
            map_of((share @ flat).view(1, *slope.shape[1:]), size_of(x))
            for x, share in zip(maps, shares.to(slope.dtype).T, strict=True)
        ]
        of_rows = [
            _summed_to(slope @ matrix.to(row.dtype), row)
            for row, matrix in zip(rows, matrices, strict=True)
        ]
        of_matrices = [
            (slope.mT @ row).to(matrix.dtype) for row, matrix in zip(rows, matrices, strict=True)
        ]
        return (
            None,
            None,
            torch.stack(of_shares, dim=1).to(shares.dtype) if maps else None,
            slope.sum(dim=1, dtype=matrices[0].dtype) if rows else None,
            *of_maps,
            *of_rows,
            *of_matrices,
        )


def _parts(tensors: Sequence[Tensor], maps: int) -> tuple[Sequence[Tensor], ...]:
    terms = (len(tensors) - maps) // 2
    return tensors[:maps], tensors[maps : maps + terms], tensors[maps + terms :]


def _summed_to(gradient: Tensor, rows: Tensor) -> Tensor:
    return gradient.sum(dim=0, keepdim=True) if len(rows) < len(gradient) else gradient


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """Sum of at least one tensor of like shapes."""
    first, *others = terms
    return sum(others, start=first)


class RunningStatistics:
    """Collects the batch statistics of many norms, to update their running ones at once."""

    def __init__(self) -> None:
        self._norms: list[nn.BatchNorm2d] = []
        self._means: list[Tensor] = []
        self._variances: list[Tensor] = []

    def add(self, norms: Sequence[nn.BatchNorm2d], means: Tensor, variances: Tensor) -> None:
        """Mean and unbiased variance, ``(norms, C)`` each, without a graph."""
        self._norms += norms
        self._means += means.unbind()
        self._variances += variances.unbind()

    @torch.no_grad()
    def update(self) -> None:
        """Moves the running statistics as `torch.nn.BatchNorm2d` does in training."""
        if not self._norms:
            return
        for running, batch in (
            ([norm.running_mean for norm in self._norms], self._means),
            ([norm.running_var for norm in self._norms], self._variances),
        ):
            torch._foreach_lerp_(running, batch, MOMENTUM)
        torch._foreach_add_([norm.num_batches_tracked for norm in self._norms], 1)
