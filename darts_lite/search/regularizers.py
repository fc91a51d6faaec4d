"""Penalties on the alphas, added to the loss that they minimise."""

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from darts_lite.search.relaxations import compute_concentrations


class Regularizer(Protocol):
    """Penalizes alphas."""

    def penalty(self, alphas: Mapping[str, Tensor], progress: float) -> Tensor:
        """Returns a scalar.

        Args:
            alphas: Group -> ``(rows, options)``.
            progress: Share of the search that is done, 0 to 1.
        """
        ...


class BetaDecay:
    """Penalty ``strength * progress * mean_e logsumexp(alpha_e)`` (beta-DARTS, 2203.01665, eq. 13).

    It keeps the share of any candidate from growing without bound, as skip connections tend to.

    Args:
        strength: Coefficient at the end of the search; it grows linearly from 0. The published 25
            to 50 belong to 50 to 100 epochs; short searches need far less.
    """

    def __init__(self, strength: float) -> None:
        self.strength = _check_strength("beta-decay", strength)

    def penalty(self, alphas: Mapping[str, Tensor], progress: float) -> Tensor:
        rows = torch.cat([alpha.logsumexp(dim=-1) for alpha in alphas.values()])  # (all rows,)
        return self.strength * progress * rows.mean()


class ZeroOne:
    """Penalty ``-strength * mean (sigmoid(alpha) - 1/2)^2`` (FairDARTS, 1911.12126, equation 7).

    It drives sigmoids to 0 or 1, so that discretising them changes little.

    Args:
        strength: Coefficient; 10 is the published one.
    """

    def __init__(self, strength: float = 10.0) -> None:
        self.strength = _check_strength("the zero-one loss", strength)

    def penalty(self, alphas: Mapping[str, Tensor], progress: float) -> Tensor:
        every = torch.cat([alpha.flatten() for alpha in alphas.values()])
        return -self.strength * (every.sigmoid() - 0.5).square().mean()


class DirichletAnchor:
    """Penalty ``strength * sum_e KL(Dirichlet(beta_e) || Dirichlet(1))`` (DrNAS).

    beta are the concentrations of `darts_lite.Dirichlet`. The anchor, the uniform distribution over
    all mixtures, keeps the draws from collapsing to a corner or to the middle (arXiv 2006.10355,
    section 3.2).

    Args:
        strength: Coefficient; 0.001 is the published one.
    """

    def __init__(self, strength: float = 1e-3) -> None:
        self.strength = _check_strength("the anchor", strength)

    def penalty(self, alphas: Mapping[str, Tensor], progress: float) -> Tensor:
        divergences = []
        for concentrations in map(compute_concentrations, alphas.values()):  # (rows, options)
            drawn = torch.distributions.Dirichlet(concentrations)
            anchor = torch.distributions.Dirichlet(torch.ones_like(concentrations))
            divergences.append(torch.distributions.kl_divergence(drawn, anchor).sum())
        return self.strength * torch.stack(divergences).sum()


def _check_strength(name: str, value: float) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}'s strength must be at least 0 and finite, got {value}")
    return value
