"""How architecture parameters become mixing weights, and what the alphas tell about themselves.

Shapes: alphas and shares of one kind of cell are ``(edges, candidates)``, edges ordered by node and
then by source.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


class Relaxation(Protocol):
    """Maps alphas to the weights of a mixed operation, and to the shares that rank candidates."""

    def mixing_weights(self, alphas: Tensor) -> Tensor:
        """Differentiable weights ``(edges, candidates)`` for one training step."""
        ...

    def shares(self, alphas: Tensor) -> Tensor:
        """Deterministic weights ``(edges, candidates)``, each row summing to 1."""
        ...


class Softmax:
    """DARTS: softmax over the candidates (arXiv 1806.09055, equation 2)."""

    def mixing_weights(self, alphas: Tensor) -> Tensor:
        """Softmax of each row."""
        return alphas.softmax(dim=-1)

    def shares(self, alphas: Tensor) -> Tensor:
        """Softmax of each row."""
        return alphas.softmax(dim=-1)


class BetaDecay:
    """Penalty ``strength * progress * mean_e logsumexp(alpha_e)`` (beta-DARTS, 2203.01665, eq. 13).

    It keeps any candidate's share from running away, which is how skip connections take over.

    Args:
        strength: Coefficient at the end of the search; it grows linearly from 0. The published 25
            to 50 belong to 50 to 100 epochs; short searches need far less.

    Raises:
        ValueError: if the strength is negative.
    """

    def __init__(self, strength: float) -> None:
        if not strength >= 0:
            raise ValueError(f"beta-decay's strength must be at least 0, got {strength}")
        self.strength = strength

    def __call__(self, alphas: Mapping[str, Tensor], progress: float) -> Tensor:
        """The penalty, a scalar; ``progress`` runs from 0 to 1 over the search."""
        rows = torch.cat([alpha.logsumexp(dim=-1) for alpha in alphas.values()])  # (all edges,)
        return self.strength * progress * rows.mean()


def normalized_entropy(shares: Tensor) -> Tensor:
    """Mean entropy of the rows over its maximum: 1 for uniform shares, 0 for a decision."""
    if shares.shape[-1] < 2:
        return shares.new_zeros(())
    entropy = torch.special.entr(shares).sum(dim=-1)  # (edges,)
    return entropy.mean() / math.log(shares.shape[-1])


def top2_margins(shares: Tensor) -> Tensor:
    """Largest minus second largest share of each edge, ``(edges,)``."""
    if shares.shape[-1] < 2:
        return shares.new_ones(shares.shape[0])
    best = shares.topk(2, dim=-1).values
    return best[:, 0] - best[:, 1]


def drift(shares: Tensor, initial_shares: Tensor) -> Tensor:
    """Mean total variation distance of each edge's shares from those at the start, 0 to 1."""
    return (shares - initial_shares).abs().sum(dim=-1).mean() / 2
