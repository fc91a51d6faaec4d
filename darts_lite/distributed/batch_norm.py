"""Batch norms whose statistics are those of all ranks' batches."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from darts_lite.distributed.ranks import averaged, own_part

EPSILON = 1e-5
"""Added to variances; torch's default, which all norms here have."""


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


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type in which statistics are computed: float32, or `dtype` where that is wider."""
    return torch.promote_types(dtype, torch.float32)


def joint_count(count: int) -> int:
    """How many rows all ranks have together whose statistics `joint` joins."""
    return count * own_part().ranks if torch.is_grad_enabled() else count


def joint(mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Statistics of all ranks' rows, from those of the rows of each, as many on every rank.

    Without gradients nobody waits for others: what is computed then is no training step.

    Args:
        mean: ``(..., C)``.
        spread: Variances ``(..., C)`` or covariances ``(..., C, C)``.
    """
    rank, ranks = own_part()
    if joint_count(1) == 1:
        return mean, spread
    own = [mean if other == rank else torch.zeros_like(mean) for other in range(ranks)]
    means, spread = averaged(ranks * torch.stack(own), spread)  # (ranks, ..., C)
    mean = means.mean(dim=0)
    apart = means - mean
    if spread.dim() == mean.dim():
        return mean, spread + apart.square().mean(dim=0)
    return mean, spread + (apart.unsqueeze(-1) * apart.unsqueeze(-2)).mean(dim=0)
