"""Measures from the shares how decided an architecture is.

Shares of a group are ``(rows, options)``; each row is divided by its sum first.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from darts_lite.space.groups import Group


def normalize_rows(shares: Tensor) -> Tensor:
    """Divides each row by its sum."""
    return shares / shares.sum(dim=-1, keepdim=True)


def compute_entropy(shares: Tensor) -> Tensor:
    """Returns the mean entropy of the rows, 1 for uniform shares and 0 for a decision."""
    if shares.shape[-1] < 2:
        return shares.new_zeros(())
    entropy = torch.special.entr(normalize_rows(shares)).sum(dim=-1)  # (rows,)
    return entropy.mean() / math.log(shares.shape[-1])


def compute_margins(shares: Tensor) -> Tensor:
    """Returns the largest minus the second largest share of each row, ``(rows,)``."""
    if shares.shape[-1] < 2:
        return shares.new_ones(shares.shape[0])
    best = normalize_rows(shares).topk(2, dim=-1).values
    return best[:, 0] - best[:, 1]


def compute_drifts(shares: Tensor, initial_shares: Tensor) -> Tensor:
    """Returns the total variation distance of each row from its start, 0 to 1, ``(rows,)``."""
    moved = (normalize_rows(shares) - normalize_rows(initial_shares)).abs()
    return moved.sum(dim=-1) / 2


def diagnose(
    shares: Mapping[str, Tensor], initial_shares: Mapping[str, Tensor], groups: Mapping[str, Group]
) -> dict[str, float]:
    """Returns all diagnostics over all rows, with the mean share of skip connections if any.

    The shares are group -> ``(rows, options)``.
    """
    skips = [
        normalize_rows(shares[name])[:, group.options.index("skip_connect")]
        for name, group in groups.items()
        if "skip_connect" in group.options
    ]
    # Rows with the same number of options are measured together, (rows, options).
    alike: dict[int, list[Tensor]] = {}
    for rows in shares.values():
        alike.setdefault(rows.shape[-1], []).append(rows)
    together = [torch.cat(parts) for parts in alike.values()]
    total = sum(map(len, together))
    values = {
        "entropy": sum(len(rows) / total * compute_entropy(rows) for rows in together),
        "median_top2_margin": torch.cat([*map(compute_margins, shares.values())]).median(),
        "drift": torch.cat(
            [compute_drifts(rows, initial_shares[name]) for name, rows in shares.items()]
        ).mean(),
        **({"skip_share": torch.cat(skips).mean()} if skips else {}),
    }
    return {name: float(value) for name, value in values.items()}
