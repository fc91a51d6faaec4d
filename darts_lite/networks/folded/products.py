"""The two products of rows that a folded cell consists of.

`pointwise_relu` is the inside of a separable convolution; `mix` is the sum of all candidates on all
edges that leave one state, one product per candidate. For their backward passes, which have
gradients themselves, both keep only what they read or return. ``grad_x`` is the gradient in x.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.distributed.batch_norm import widen
from darts_lite.networks.folded.moments import multiply, size_of, to_map, to_rows


def pointwise_relu(rows: Tensor, matrix: Tensor, mean: Tensor, size: Sequence[int]) -> Tensor:
    """Computes ``relu(P d - mean)`` as a map ``(B, edges * C, H, W)``; only the result is kept.

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
        # P d is added in place to -mean, in the order of a map: (N, edges, C).
        result = rows.new_empty(count, edges, matrix.shape[1]).copy_(mean.neg())
        result.transpose(0, 1).baddbmm_(rows, matrix.to(rows.dtype).mT)
        result = to_map(result.relu_().transpose(0, 1), size)
        ctx.save_for_backward(rows, matrix, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrix, result = ctx.saved_tensors
        # Through the ReLU, and as rows (edges, N, C).
        grad = to_rows(_compute_relu_gradient(grad_output, result), rows.shape[0])
        grad_matrix = None
        if ctx.needs_input_grad[1]:
            # Sum over n of grad_n d_n', (edges, C, C_in).
            grad_matrix = grad.mT.to(matrix.dtype) @ rows.to(matrix.dtype)
        grad_mean = -grad.sum(dim=1, dtype=matrix.dtype)  # (edges, C)
        return multiply(grad, matrix.to(rows.dtype)), grad_matrix, grad_mean, None


def _compute_relu_gradient(grad: Tensor, result: Tensor) -> Tensor:
    """Returns the gradient before a ReLU; may overwrite `grad`, which nothing else holds."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return torch.ops.aten.threshold_backward(grad, result, 0)
    return torch.ops.aten.threshold_backward.grad_input(grad, result, 0, grad_input=grad)


class Term(NamedTuple):
    """The contribution ``matrix @ row + bias``, for each row, of a candidate to a bank's nodes."""

    rows: Tensor  # (edges or 1, N, C_in)
    matrix: Tensor  # (edges, C, C_in)
    bias: Tensor  # (edges, C)


def mix(
    terms: Sequence[Term], maps: Sequence[Tensor], shares: Tensor, size: Sequence[int]
) -> tuple[Tensor, ...]:
    """Computes the sum of terms and of weighted maps, for each edge.

    Args:
        terms: At least one term or map.
        maps: The same on all edges, ``(B, C, H, W)`` each.
        shares: Weights of the maps, ``(edges, maps)``.
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
        maps, rows, matrices = _split_tensors(tensors, maps_count)
        edges = shares.shape[0]
        like = rows[0] if rows else to_rows(maps[0], 1)
        channels = matrices[0].shape[1] if matrices else like.shape[2]
        # In float16 and bfloat16 the sum is rounded once, and the candidates before it.
        exact = widen(like.dtype)
        result = like.new_empty(edges, like.shape[1], channels, dtype=exact)  # (edges, N, C)
        result.copy_(torch.zeros_like(result[:, :1]) if bias is None else bias.unsqueeze(1))
        # Each edge adds share * map, from rows (1, N, C) that all edges read.
        for x, share in zip(maps, shares.T, strict=True):
            result.addcmul_(share.to(exact).view(edges, 1, 1), to_rows(x, 1).to(exact))
        # Each edge adds d P', (N, C_in) @ (C_in, C).
        for row, matrix in zip(rows, matrices, strict=True):
            row, matrix = row.expand(edges, -1, -1), matrix.to(row.dtype).mT
            if row.dtype == exact:
                result.baddbmm_(row, matrix)
            else:
                result += row @ matrix
        result = result.to(like.dtype)
        return tuple(to_map(edge.unsqueeze(0), size) for edge in result.unbind())

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        shares, *tensors = ctx.saved_tensors
        maps, rows, matrices = _split_tensors(tensors, ctx.maps_count)
        grad = torch.cat([to_rows(edge, 1) for edge in grad_outputs])  # (edges, N, C)
        # A share receives the scalar product of its edge's gradient and the map: (edges,).
        flat = grad.flatten(1)
        grad_shares = [flat @ to_rows(x, 1).flatten() for x in maps]
        # A map receives the edges' gradients times their shares, summed: (B, C, H, W).
        grad_maps = [
            to_map((share @ flat).view(1, *grad.shape[1:]), size_of(x))
            for x, share in zip(maps, shares.to(grad.dtype).T, strict=True)
        ]
        # Rows receive grad P, summed over the edges where these share the rows.
        grad_rows = [
            _sum_to(multiply(grad, matrix.to(row.dtype)), row)
            for row, matrix in zip(rows, matrices, strict=True)
        ]
        # A matrix receives the sum over n of grad_n d_n', (edges, C, C_in).
        grad_matrices = [
            grad.mT.to(matrix.dtype) @ row.to(matrix.dtype)
            for row, matrix in zip(rows, matrices, strict=True)
        ]
        return (
            None,
            None,
            torch.stack(grad_shares, dim=1).to(shares.dtype) if maps else None,
            grad.sum(dim=1, dtype=matrices[0].dtype) if rows else None,
            *grad_maps,
            *grad_rows,
            *grad_matrices,
        )


def _split_tensors(tensors: Sequence[Tensor], maps: int) -> tuple[Sequence[Tensor], ...]:
    """Returns the maps, the terms' rows and the terms' matrices."""
    terms = (len(tensors) - maps) // 2
    return tensors[:maps], tensors[maps : maps + terms], tensors[maps + terms :]


def _sum_to(gradient: Tensor, rows: Tensor) -> Tensor:
    return gradient.sum(dim=0, keepdim=True) if len(rows) < len(gradient) else gradient
