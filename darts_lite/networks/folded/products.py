"""The two products of rows that a folded cell is made of.

`pointwise_relu` is the inside of a separable convolution; `mix` is the sum of all candidates on all
edges that leave one state, one product per candidate. Both keep nothing but what they read or
return for their backward passes, which have gradients themselves.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.distributed.batch_norm import wide
from darts_lite.networks.folded.moments import map_of, product, rows_of, size_of


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
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrix, result = ctx.saved_tensors
        slope = rows_of(threshold_gradient(slope, result), rows.shape[0])
        of_matrix = None
        if ctx.needs_input_grad[1]:
            of_matrix = slope.mT.to(matrix.dtype) @ rows.to(matrix.dtype)
        of_mean = -slope.sum(dim=1, dtype=matrix.dtype)
        return product(slope, matrix.to(rows.dtype)), of_matrix, of_mean, None


def threshold_gradient(slope: Tensor, result: Tensor) -> Tensor:
    """The gradient before a ReLU; written over that behind it, which nobody else holds."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return torch.ops.aten.threshold_backward(slope, result, 0)
    return torch.ops.aten.threshold_backward.grad_input(slope, result, 0, grad_input=slope)


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
    bias = torch.stack([term.bias for term in terms]).sum(dim=0) if terms else None
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
        # In float16 and bfloat16 the sum is rounded once, and the candidates before it.
        exact = wide(like.dtype)
        result = like.new_empty(edges, like.shape[1], channels, dtype=exact)
        result.copy_(torch.zeros_like(result[:, :1]) if bias is None else bias.unsqueeze(1))
        for x, share in zip(maps, shares.T, strict=True):
            result.addcmul_(share.to(exact).view(edges, 1, 1), rows_of(x, 1).to(exact))
        for row, matrix in zip(rows, matrices, strict=True):
            row, matrix = row.expand(edges, -1, -1), matrix.to(row.dtype).mT
            if row.dtype == exact:
                result.baddbmm_(row, matrix)
            else:
                result += row @ matrix
        result = result.to(like.dtype)
        return tuple(map_of(edge.unsqueeze(0), size) for edge in result.unbind())

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
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
            _summed_to(product(slope, matrix.to(row.dtype)), row)
            for row, matrix in zip(rows, matrices, strict=True)
        ]
        of_matrices = [
            slope.mT.to(matrix.dtype) @ row.to(matrix.dtype)
            for row, matrix in zip(rows, matrices, strict=True)
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
