"""Relaxations turn architecture parameters into mixing weights.

Shapes: alphas, mixing weights and shares of one group are ``(rows, options)``. A relaxation is a
dataclass, so that a checkpoint can keep its class and settings.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor


class Relaxation(Protocol):
    """Maps alphas to the weights of a mixed operation, and to the shares that rank candidates."""

    @property
    def samples(self) -> bool:
        """True if mixing weights choose one candidate per edge, so that only this one must run."""
        ...

    @property
    def deterministic(self) -> bool:
        """True if mixing weights depend on the alphas alone, not on draws or progress."""
        ...

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """Returns differentiable weights for one training step; `progress` goes from 0 to 1."""
        ...

    def shares(self, alphas: Tensor) -> Tensor:
        """Returns deterministic weights of at least 0, which rank the candidates."""
        ...


@dataclass(frozen=True)
class Softmax:
    """DARTS: softmax over the candidates (arXiv 1806.09055, equation 2)."""

    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        return alphas.softmax(dim=-1)

    def shares(self, alphas: Tensor) -> Tensor:
        return alphas.softmax(dim=-1)


@dataclass(frozen=True)
class Temperature:
    """A temperature that falls geometrically over the search, from `start` to `end`."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not (self.start > 0 and self.end > 0):
            raise ValueError(
                f"temperatures must be above 0, got start {self.start} and end {self.end}"
            )

    def at(self, progress: float) -> float:
        """Returns the temperature after a share of the search, 0 to 1."""
        return self.start * (self.end / self.start) ** progress


def draw_concrete(alphas: Tensor, temperature: float) -> Tensor:
    """Draws from the concrete distribution: ``softmax((log softmax(alpha) + g) / temperature)``.

    g are Gumbel draws. At a low temperature one entry of each row is near 1; the probability of
    each entry to be that one is its softmax share (arXiv 1611.01144, equation 2).
    """
    # g = -log(e) has a Gumbel distribution if e has an exponential one: (rows, options).
    gumbel = -torch.empty_like(alphas).exponential_().log()
    return ((alphas.log_softmax(dim=-1) + gumbel) / temperature).softmax(dim=-1)


@dataclass(frozen=True)
class Concrete(Temperature):
    """SNAS: draws from the concrete distribution, colder over the search (1812.09926, eq. 6).

    Args:
        start: Temperature at the beginning of a search.
        end: Temperature at its end.
    """

    start: float = 1.0
    end: float = 0.1
    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        return draw_concrete(alphas, self.at(progress))

    def shares(self, alphas: Tensor) -> Tensor:
        """Returns the probability of each candidate at temperature 0."""
        return alphas.softmax(dim=-1)


@dataclass(frozen=True)
class GumbelMax(Concrete):
    """GDAS: one candidate of each edge by a hard Gumbel draw (arXiv 1910.04465, equations 5 and 6).

    In the forward pass the drawn candidate has weight 1; the others have weight 0 and do not run.
    The backward pass uses the concrete distribution. Only the drawn candidate informs the alphas.

    Args:
        start: Temperature of the backward pass at the beginning; this value and the next are the
            published ones, between which GDAS interpolates linearly, `Temperature` geometrically.
        end: Temperature at the end.
    """

    start: float = 10.0
    samples: ClassVar[bool] = True

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """Draws weights: 1 for one candidate of each row, exactly 0 for the others."""
        # Soft draw and its largest entry as a one-hot row, both (rows, options).
        soft = super().mixing_weights(alphas, progress)
        drawn = soft.detach().argmax(dim=-1, keepdim=True)
        hard = torch.zeros_like(soft).scatter_(-1, drawn, 1.0)
        # Straight-through: the value of the hard draw, the gradient of the soft one.
        return hard - soft.detach() + soft


@dataclass(frozen=True)
class Dirichlet:
    """DrNAS: weights drawn from a Dirichlet distribution (arXiv 2006.10355, section 3.1).

    Its concentrations are ``elu(alpha) + 1``; the draw's gradient is pathwise. The published search
    adds `darts_lite.DirichletAnchor`.
    """

    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        return torch.distributions.Dirichlet(compute_concentrations(alphas)).rsample()

    def shares(self, alphas: Tensor) -> Tensor:
        """Returns the mean of the distribution: concentrations over their sum."""
        concentrations = compute_concentrations(alphas)
        return concentrations / concentrations.sum(dim=-1, keepdim=True)


def compute_concentrations(alphas: Tensor) -> Tensor:
    """Computes ``elu(alpha) + 1``, kept above 0, its limit for very negative alphas."""
    return (torch.nn.functional.elu(alphas) + 1).clamp_min(1e-4)


@dataclass(frozen=True)
class Sigmoid:
    """FairDARTS: a sigmoid of each alpha by itself (arXiv 1911.12126, equation 6).

    No candidate grows at the cost of another, so an easy one has no advantage. The published search
    adds `darts_lite.ZeroOne`.
    """

    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        return alphas.sigmoid()

    def shares(self, alphas: Tensor) -> Tensor:
        """Returns a sigmoid of each entry; a row need not sum to 1."""
        return alphas.sigmoid()


RELAXATIONS = (Softmax, Concrete, GumbelMax, Dirichlet, Sigmoid)
"""The relaxations that can be built from their class path in a checkpoint."""
