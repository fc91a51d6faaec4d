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

from darts_lite.depthwise import depthwise, depthwise_gradients

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

    x: Tensor  # (B, edges * C, H, W)
    kernels: Tensor  # (edges * C, 1, k, k)
    stride: int
    dilation: int


def depthwise_moments(calls: Sequence[DepthwiseCall], edges: int) -> Moments:
    """Depthwise convolutions with results of one shape, as rows with their statistics."""
    settings = [(call.stride, call.dilation) for call in calls]
    tensors = [tensor for call in calls for tensor in (call.x, call.kernels)]
    *rows, mean, covariance = _DepthwiseMoments.apply(edges, settings, *tensors)
    return Moments(rows, mean, covariance)


class _DepthwiseMoments(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, edges: int, settings: Sequence[tuple[int, int]], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        rows = [
            rows_of(depthwise(x, kernels, None, stride, dilation), edges)
            for x, kernels, (stride, dilation) in zip(
                tensors[::2], tensors[1::2], settings, strict=True
            )
        ]
        mean, covariance = _moments(rows)
        ctx.save_for_backward(mean, *rows, *tensors)
        ctx.settings = settings
        return *rows, mean, covariance

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        mean, *saved = ctx.saved_tensors
        rows, tensors = saved[: len(ctx.settings)], saved[len(ctx.settings) :]
        *of_rows, of_mean, of_covariance = slopes
        gradients: list[Tensor | None] = []
        slopes_of_maps = _moments_gradients(rows, mean, of_rows, of_mean, of_covariance)
        for i, (slope, (stride, dilation)) in enumerate(
            zip(slopes_of_maps, ctx.settings, strict=True)
        ):
            x, kernels = tensors[2 * i : 2 * i + 2]
            size = (len(x), *(-(-side // stride) for side in x.shape[2:]))
            needed = ctx.needs_input_grad[2 + 2 * i : 4 + 2 * i]
            gradients += depthwise_gradients(
                x, kernels, map_of(slope, size), stride, dilation, needed
            )
        return None, None, *gradients


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
    stacked = torch.stack([rows_of(x, 1).flatten() for x in maps]) if maps else None
    flat = [tensor for term in terms for tensor in (term.rows, term.matrix)]
    return _Mix.apply(size, shares, stacked, bias, *flat)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        size: Sequence[int],
        shares: Tensor,
        maps: Tensor | None,
        bias: Tensor | None,
        *terms: Tensor,
    ) -> tuple[Tensor, ...]:
        edges = shares.shape[0]
        rows, matrices = terms[::2], terms[1::2]
        ctx.save_for_backward(shares, maps, *terms)
        count = size[0] * size[1] * size[2]
        if maps is not None:
            result = (shares.to(maps.dtype) @ maps).view(edges, count, -1)
        else:
            result = rows[0].new_zeros(edges, count, matrices[0].shape[1])
        for row, matrix in zip(rows, matrices, strict=True):
            result.baddbmm_(row.expand(edges, -1, -1), matrix.to(row.dtype).mT)
        if bias is not None:
            result += bias.to(result.dtype).unsqueeze(1)
        return tuple(map_of(edge.unsqueeze(0), size) for edge in result.unbind())

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        shares, maps, *terms = ctx.saved_tensors
        slope = torch.cat([rows_of(edge, 1) for edge in slopes])  # (edges, N, C)
        of_shares = of_maps = of_bias = None
        if maps is not None:
            flat = slope.flatten(1)
            of_shares = (flat @ maps.mT).to(shares.dtype)
            of_maps = shares.to(maps.dtype).mT @ flat
        if terms:
            of_bias = slope.sum(dim=1, dtype=terms[1].dtype)
        of_terms: list[Tensor] = []
        for rows, matrix in zip(terms[::2], terms[1::2], strict=True):
            of_rows = slope @ matrix.to(rows.dtype)
            if rows.shape[0] < slope.shape[0]:  # the edges share them
                of_rows = of_rows.sum(dim=0, keepdim=True)
            of_terms += [of_rows, (slope.mT @ rows).to(matrix.dtype)]
        return None, of_shares, of_maps, of_bias, *of_terms


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
