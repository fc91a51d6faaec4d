"""Batch norms that are known before their input is computed.

A 1x1 convolution ``z = P d`` of rows d with mean m and covariance S has the mean ``P m`` and the
variance ``diag(P S P')``. So a norm behind it needs only m and S, which are small, and can become
part of the convolution; neither z nor its normalized map need be written to memory.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from darts_lite.distributed.batch_norm import EPSILON, count_jointly
from darts_lite.networks.folded.moments import Moments

MOMENTUM = 0.1
"""Share of each batch in the running statistics; torch's default, which all norms here have."""


def are_alike(norms: Sequence[nn.BatchNorm2d]) -> bool:
    """Returns whether all norms are in one mode and have the default momentum and epsilon."""
    return all(
        norm.training == norms[0].training and (norm.momentum, norm.eps) == (MOMENTUM, EPSILON)
        for norm in norms
    )


class RunningStatistics:
    """Collects the batch statistics of many norms and updates their running ones at once."""

    def __init__(self) -> None:
        self._norms: list[nn.BatchNorm2d] = []
        self._means: list[Tensor] = []
        self._variances: list[Tensor] = []

    def add(self, norms: Sequence[nn.BatchNorm2d], means: Tensor, variances: Tensor) -> None:
        """Adds mean and unbiased variance, ``(norms, C)`` each, without a graph."""
        kept = cast(Tensor, norms[0].running_mean).dtype
        self._norms += norms
        self._means += means.to(kept).unbind()
        self._variances += variances.to(kept).unbind()

    def update(self) -> None:
        """Moves the running statistics as `torch.nn.BatchNorm2d` does in training."""
        if not self._norms:
            return
        for running, batch in (
            ([cast(Tensor, norm.running_mean) for norm in self._norms], self._means),
            ([cast(Tensor, norm.running_var) for norm in self._norms], self._variances),
        ):
            torch._foreach_lerp_(running, batch, MOMENTUM)
        counts = [cast(Tensor, norm.num_batches_tracked) for norm in self._norms]
        torch._foreach_add_(counts, 1)


class Statistics(NamedTuple):
    """Statistics of norms, which map ``z = P d`` to ``(z - mean) * scale``."""

    mean: Tensor  # (operations, C)
    scale: Tensor  # (operations, C), 1 / standard deviation


def compute_batch_statistics(
    moments: Moments, matrix: Tensor, norms: Sequence[nn.BatchNorm2d], running: RunningStatistics
) -> Statistics:
    """Computes the statistics of norms in training behind 1x1 convolutions ``P d`` of rows d.

    Args:
        moments: Moments of d, of as many operations or of one that all share.
        matrix: P, ``(operations, C, C_in)``.
        norms: One per operation.
    """
    count = count_jointly(moments.rows[0].shape[1])
    mean, scale, variance = _StatisticsBehind.apply(matrix, moments.mean, moments.covariance)
    running.add(norms, mean.detach(), variance * (count / (count - 1)))
    return Statistics(mean, scale)


def read_running_statistics(norms: Sequence[nn.BatchNorm2d]) -> Statistics:
    """Returns the statistics of norms in evaluation."""
    mean = torch.stack([cast(Tensor, norm.running_mean) for norm in norms])
    variance = torch.stack([cast(Tensor, norm.running_var) for norm in norms])
    return Statistics(mean, (variance + EPSILON).rsqrt())


class _StatisticsBehind(torch.autograd.Function):
    """``P m``, ``(v + epsilon)^(-1/2)`` and ``v = diag(P S P')`` of P, m and S; v has no graph."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, mean: Tensor, covariance: Tensor) -> tuple[Tensor, ...]:
        projected = matrix @ covariance  # P S, (operations, C, C_in)
        variance = (projected * matrix).sum(dim=2).clamp_min_(0)  # diag(P S P'), (operations, C)
        scale = (variance + EPSILON).rsqrt_()
        ctx.save_for_backward(matrix, mean, covariance, scale)
        ctx.mark_non_differentiable(variance)
        return (matrix @ mean.unsqueeze(2)).squeeze(2), scale, variance

    @staticmethod
    def backward(
        ctx: Any, grad_mean: Tensor, grad_scale: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
        matrix, mean, covariance, scale = ctx.saved_tensors
        column = grad_mean.unsqueeze(2)  # (operations, C, 1)
        # scale = (v + epsilon)^(-1/2) has the derivative -1/2 scale^3 in v: (operations, C, 1).
        grad_variance = (-0.5 * grad_scale * scale**3).unsqueeze(2)
        scaled = grad_variance * matrix  # diag(grad_variance) P, (operations, C, C_in)
        grad_matrix = None
        if ctx.needs_input_grad[0]:
            # P occurs once in P m and twice in diag(P S P'), whose S is symmetric.
            grad_matrix = column * mean.unsqueeze(1) + 2 * scaled @ covariance
        grad_input_mean = (column * matrix).sum(dim=1)  # P' grad_mean, (operations, C_in)
        grad_covariance = matrix.mT @ scaled  # P' diag(grad_variance) P, (operations, C_in, C_in)
        if mean.shape[0] < matrix.shape[0]:  # the operations share d: sum over them
            grad_input_mean = grad_input_mean.sum(dim=0, keepdim=True)
            grad_covariance = grad_covariance.sum(dim=0, keepdim=True)
        return grad_matrix, grad_input_mean, grad_covariance
