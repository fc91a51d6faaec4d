"""What shares tell about how decided an architecture is.

Shares of one or several kinds of cells are ``(edges, candidates)``; each row is taken relative to
its sum.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def normalized(shares: Tensor) -> Tensor:
    """Rows that sum to 1."""
    return shares / shares.sum(dim=-1, keepdim=True)


def normalized_entropy(shares: Tensor) -> Tensor:
    """Mean entropy of the rows over its maximum: 1 for uniform shares, 0 for a decision."""
    if shares.shape[-1] < 2:
        return shares.new_zeros(())
    entropy = torch.special.entr(normalized(shares)).sum(dim=-1)  # (edges,)
    return entropy.mean() / math.log(shares.shape[-1])


def top2_margins(shares: Tensor) -> Tensor:
    """Largest minus second largest share of each edge, ``(edges,)``."""
    if shares.shape[-1] < 2:
        return shares.new_ones(shares.shape[0])
    best = normalized(shares).topk(2, dim=-1).values
    return best[:, 0] - best[:, 1]


def drift(shares: Tensor, initial_shares: Tensor) -> Tensor:
    """Mean total variation distance of each edge's shares from those at the start, 0 to 1."""
    return (normalized(shares) - normalized(initial_shares)).abs().sum(dim=-1).mean() / 2


def diagnose(shares: Tensor, initial_shares: Tensor, candidates: Sequence[str]) -> dict[str, float]:
    """All of the above over some edges, and the mean share of skip connections if there are any."""
    values = {
        "entropy": normalized_entropy(shares),
        "median_top2_margin": top2_margins(shares).median(),
        "drift": drift(shares, initial_shares),
    }
    if "skip_connect" in candidates:
        values["skip_share"] = normalized(shares)[:, candidates.index("skip_connect")].mean()
    return {name: float(value) for name, value in values.items()}
