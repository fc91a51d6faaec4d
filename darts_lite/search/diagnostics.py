"""Measures from the shares how decided an architecture is.

Shares of a group are ``(rows, options)``; each row is divided by its sum first.
"""

import math
from collections.abc import Mapping, Sequence

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
    # Rows with the same options are measured together, (rows, options).
    alike: dict[tuple[str, ...], list[Tensor]] = {}
    for name, rows in shares.items():
        alike.setdefault(groups[name].options, []).append(rows)
    together = {options: torch.cat(parts) for options, parts in alike.items()}
    skips = [
        (len(rows), normalize_rows(rows)[:, options.index("skip_connect")].mean())
        for options, rows in together.items()
        if "skip_connect" in options
    ]
    entropies = [(len(rows), compute_entropy(rows)) for rows in together.values()]
    values = {
        "entropy": _average(entropies),
        "median_top2_margin": torch.cat([*map(compute_margins, shares.values())]).median(),
        "drift": torch.cat(
            [compute_drifts(rows, initial_shares[name]) for name, rows in shares.items()]
        ).mean(),
        **({"skip_share": _average(skips)} if skips else {}),
    }
    return {name: float(value) for name, value in values.items()}


def _average(means: Sequence[tuple[int, Tensor]]) -> Tensor | float:
    """Returns the mean over all rows of means over some rows, each with their number."""
    total = sum(count for count, _ in means)
    return sum(count / total * mean for count, mean in means)
