"""Batch norms whose statistics are those of all ranks' batches."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from darts_lite.distributed.ranks import average, own_shard

EPSILON = 1e-5
"""Number added to variances; torch's default, which all norms here have."""


def normalize_batch(x: Tensor, epsilon: float = EPSILON) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes a map ``(B, C, H, W)`` with its own statistics over all ranks together.

    Returns:
        The map; mean and unbiased variance ``(C,)``, without a graph.
    """
    count = count_jointly(1)
    if count == 1:
        exact = torch.zeros(2, x.shape[1], dtype=widen(x.dtype), device=x.device)
        mean, variance = exact  # with momentum 1 the running statistics are the batch's
        x = batch_norm(x, mean, variance, training=True, momentum=1.0, eps=epsilon)
        return x, mean, variance
    count *= x.numel() // x.shape[1]  # values per channel on all ranks
    variance, mean = torch.var_mean(x.to(widen(x.dtype)), dim=(0, 2, 3), correction=0)
    mean, variance = join_statistics(mean, variance)
    scale = (variance + epsilon).rsqrt()
    normalized = (x - mean.view(-1, 1, 1)) * scale.view(-1, 1, 1)
    return normalized.to(x.dtype), mean.detach(), variance.detach() * (count / (count - 1))


class JointBatchNorm2d(nn.BatchNorm2d):
    """A batch norm with the statistics of all ranks' batches; with one rank `nn.BatchNorm2d`.

    torch's SyncBatchNorm does this on GPUs only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes ``(B, C, H, W)`` to the same shape."""
        if not self.training or count_jointly(1) == 1:
            return super().forward(x)
        normalized, mean, variance = normalize_batch(x, self.eps)
        if self.running_mean is not None and self.running_var is not None:
            count = cast(Tensor, self.num_batches_tracked).add_(1)
            share = 1 / float(count) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            self.running_var.lerp_(variance.to(self.running_var.dtype), share)
        if self.affine:
            normalized = normalized * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)
        return normalized.to(x.dtype)


def join_norms(network: nn.Module) -> nn.Module:
    """Puts a `JointBatchNorm2d` in the place of each batch norm of maps, with the same state."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            options = child.affine, child.track_running_stats
            joint = JointBatchNorm2d(child.num_features, child.eps, child.momentum, *options)
            joint.num_features = child.num_features  # the same object, which may be chosen
            for key, parameter in child.named_parameters():
                setattr(joint, key, parameter)
            for key, buffer in child.named_buffers():
                setattr(joint, key, buffer)
            setattr(network, name, joint.train(child.training))
        else:
            join_norms(child)
    return network


def widen(dtype: torch.dtype) -> torch.dtype:
    """Returns the type in which statistics are computed: float32, or `dtype` if that is wider."""
    return torch.promote_types(dtype, torch.float32)


def count_jointly(count: int) -> int:
    """Returns the number of rows on all ranks whose statistics `join_statistics` joins."""
    return count * own_shard().world_size if torch.is_grad_enabled() else count


def join_statistics(mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the statistics of all ranks' rows from those of each rank, of equally many rows.

    The mean is ``(..., C)``, the spread variances ``(..., C)`` or covariances ``(..., C, C)``.
    Without gradients no rank waits for others: such a computation is not a training step.
    """
    rank, world_size = own_shard()
    if count_jointly(1) == 1:
        return mean, spread
    # Each rank fills its own row; averaging rows that are 0 elsewhere gathers all ranks' means.
    rows = [mean if other == rank else torch.zeros_like(mean) for other in range(world_size)]
    means, spread = average(world_size * torch.stack(rows), spread)  # (world_size, ..., C)
    mean = means.mean(dim=0)
    # Law of total variance: the mean spread within ranks, plus the spread of the ranks' means.
    apart = means - mean
    if spread.dim() == mean.dim():
        return mean, spread + apart.square().mean(dim=0)
    return mean, spread + (apart.unsqueeze(-1) * apart.unsqueeze(-2)).mean(dim=0)
