"""Batch norms that are known before their input is computed.

A 1x1 convolution ``z = P d`` of rows d with mean m and covariance S has the mean ``P m`` and the
variance ``diag(P S P')``. So a norm behind it needs m and S alone, which are small, and can become
part of the convolution; z itself, its norm and what is made of them need not be written.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from darts_lite.moments import Moments, joint, joint_count, wide

MOMENTUM = 0.1
"""How far each batch moves the running statistics; torch's default, which all norms here have."""

EPSILON = 1e-5
"""Added to variances; torch's default, which all norms here have."""


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


def batch_normalized(x: Tensor, epsilon: float = EPSILON) -> tuple[Tensor, Tensor, Tensor]:
    """A map ``(B, C, H, W)`` normalized with its own statistics, those of all ranks together.

    Returns:
        The map; mean and unbiased variance ``(C,)``, without a graph.
    """
    count = joint_count(1)
    if count == 1:
        exact = torch.zeros(2, x.shape[1], dtype=wide(x.dtype), device=x.device)
        mean, variance = exact  # with momentum 1 the running statistics are the batch's
        x = batch_norm(x, mean, variance, training=True, momentum=1.0, eps=epsilon)
        return x, mean, variance
    count *= x.numel() // x.shape[1]
    variance, mean = torch.var_mean(x.to(wide(x.dtype)), dim=(0, 2, 3), correction=0)
    mean, variance = joint(mean, variance)
    scale = (variance + epsilon).rsqrt()
    normalized = (x - mean.view(-1, 1, 1)) * scale.view(-1, 1, 1)
    return normalized.to(x.dtype), mean.detach(), variance.detach() * (count / (count - 1))


class JointBatchNorm2d(nn.BatchNorm2d):
    """A batch norm with the statistics of all ranks' batches; with one rank `nn.BatchNorm2d`.

    torch's SyncBatchNorm does this on GPUs only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> the same shape."""
        if not self.training or joint_count(1) == 1:
            return super().forward(x)
        normalized, mean, variance = batch_normalized(x, self.eps)
        if self.running_mean is not None and self.running_var is not None:
            count = cast(Tensor, self.num_batches_tracked).add_(1)
            share = 1 / float(count) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            self.running_var.lerp_(variance.to(self.running_var.dtype), share)
        if self.affine:
            normalized = normalized * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)
        return normalized.to(x.dtype)


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
