"""Batch norms that are known before their input is computed.

A 1x1 convolution ``z = P d`` of rows d with mean m and covariance S has the mean ``P m`` and the
variance ``diag(P S P')``. So a norm behind it needs m and S alone, which are small, and can become
part of the convolution; z itself, its norm and what is made of them need not be written.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from darts_lite.distributed.batch_norm import (
    EPSILON,
    joint_count,
)
from darts_lite.networks.folded.moments import Moments

MOMENTUM = 0.1
"""How far each batch moves the running statistics; torch's default, which all norms here have."""


def are_alike(norms: Sequence[nn.BatchNorm2d]) -> bool:
    """Whether all are in one mode, with the usual momentum and epsilon; a user may change that."""
    return all(
        norm.training == norms[0].training and (norm.momentum, norm.eps) == (MOMENTUM, EPSILON)
        for norm in norms
    )


class RunningStatistics:
    """Collects the batch statistics of many norms, to update their running ones at once."""

    def __init__(self) -> None:
        self._norms: list[nn.BatchNorm2d] = []
        self._means: list[Tensor] = []
        self._variances: list[Tensor] = []

    def add(self, norms: Sequence[nn.BatchNorm2d], means: Tensor, variances: Tensor) -> None:
        """Mean and unbiased variance, ``(norms, C)`` each, without a graph."""
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
    """What norms do to ``z = P d``: ``(z - mean) * scale``."""

    mean: Tensor  # (operations, C)
    scale: Tensor  # (operations, C), 1 / standard deviation


def batch_statistics(
    moments: Moments,
    matrix: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    running: RunningStatistics,
) -> Statistics:
    """Norms in training behind the 1x1 convolutions ``P d`` of rows d.

    Args:
        moments: Of d, of as many operations or of one that all share.
        matrix: P, ``(operations, C, C_in)``.
        norms: One per operation.
        running: Takes the statistics of the batch.
    """
    count = joint_count(moments.rows[0].shape[1])
    mean, scale, variance = _StatisticsBehind.apply(matrix, moments.mean, moments.covariance)
    running.add(norms, mean.detach(), variance * (count / (count - 1)))
    return Statistics(mean, scale)


def running_statistics(norms: Sequence[nn.BatchNorm2d]) -> Statistics:
    """Norms in evaluation."""
    mean = torch.stack([cast(Tensor, norm.running_mean) for norm in norms])
    variance = torch.stack([cast(Tensor, norm.running_var) for norm in norms])
    return Statistics(mean, (variance + EPSILON).rsqrt())


class _StatisticsBehind(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, mean: Tensor, covariance: Tensor) -> tuple[Tensor, ...]:
        projected = matrix @ covariance  # P S
        variance = (projected * matrix).sum(dim=2).clamp_min_(0)
        scale = (variance + EPSILON).rsqrt_()
        ctx.save_for_backward(matrix, mean, covariance, scale)
        ctx.mark_non_differentiable(variance)
        return (matrix @ mean.unsqueeze(2)).squeeze(2), scale, variance

    @staticmethod
    def backward(
        ctx: Any, of_mean: Tensor, of_scale: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
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
        return of_matrix, of_input_mean, of_covariance
