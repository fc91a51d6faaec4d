"""Measures from the shares how decided an architecture is.

Shares of one or several kinds of cells are ``(edges, candidates)``; each row is divided by its sum
first.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def normalize_rows(shares: Tensor) -> Tensor:
    """Divides each row by its sum."""
    return shares / shares.sum(dim=-1, keepdim=True)


def compute_entropy(shares: Tensor) -> Tensor:
    """Returns the mean entropy of the rows, 1 for uniform shares and 0 for a decision."""
    if shares.shape[-1] < 2:
        return shares.new_zeros(())
    entropy = torch.special.entr(normalize_rows(shares)).sum(dim=-1)  # (edges,)
    return entropy.mean() / math.log(shares.shape[-1])


def compute_margins(shares: Tensor) -> Tensor:
    """Returns the largest minus the second largest share of each edge, ``(edges,)``."""
    if shares.shape[-1] < 2:
        return shares.new_ones(shares.shape[0])
    best = normalize_rows(shares).topk(2, dim=-1).values
    return best[:, 0] - best[:, 1]


def compute_drift(shares: Tensor, initial_shares: Tensor) -> Tensor:
    """Returns the mean total variation distance of the rows from their start, 0 to 1."""
    moved = (normalize_rows(shares) - normalize_rows(initial_shares)).abs()
    return moved.sum(dim=-1).mean() / 2


def diagnose(shares: Tensor, initial_shares: Tensor, candidates: Sequence[str]) -> dict[str, float]:
    """Returns all diagnostics over some edges, with the mean share of skip connections if any."""
    values = {
        "entropy": compute_entropy(shares),
        "median_top2_margin": compute_margins(shares).median(),
        "drift": compute_drift(shares, initial_shares),
    }
    if "skip_connect" in candidates:
        values["skip_share"] = normalize_rows(shares)[:, candidates.index("skip_connect")].mean()
    return {name: float(value) for name, value in values.items()}
