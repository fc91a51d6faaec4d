"""How architecture parameters become mixing weights.

Shapes: alphas, mixing weights and shares of one kind of cell are ``(edges, candidates)``, edges
ordered by node and then by source. A relaxation is a dataclass, so that a checkpoint can tell which
one it was made with.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor


class Relaxation(Protocol):
    """Maps alphas to the weights of a mixed operation, and to the shares that rank candidates."""

    @property
    def samples(self) -> bool:
        """Whether mixing weights choose one candidate of each edge, so that only it need be run."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether mixing weights depend on the alphas alone, not on draws or progress."""
        ...

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """Differentiable weights for one training step.

        Args:
            alphas: Architecture parameters.
            progress: How much of the search is done, 0 to 1.
        """
        ...

    def shares(self, alphas: Tensor) -> Tensor:
        """Deterministic weights, which rank the candidates; not negative."""
        ...


@dataclass(frozen=True)
class Softmax:
    """DARTS: softmax over the candidates (arXiv 1806.09055, equation 2)."""

    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """Softmax of each row."""
        return alphas.softmax(dim=-1)

    def shares(self, alphas: Tensor) -> Tensor:
        """Softmax of each row."""
        return alphas.softmax(dim=-1)


@dataclass(frozen=True)
class Temperature:
    """A temperature that falls geometrically over the search.

    Args:
        start: At the beginning.
        end: At the end.

    Raises:
        ValueError: if one of them is not above 0.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        if not (self.start > 0 and self.end > 0):
            raise ValueError(
                f"temperatures must be above 0, got start {self.start} and end {self.end}"
            )

    def at(self, progress: float) -> float:
        """The temperature when so much of the search is done, 0 to 1."""
        return self.start * (self.end / self.start) ** progress


def relaxed_samples(alphas: Tensor, temperature: float) -> Tensor:
    """Draws from the concrete distribution: ``softmax((log softmax(alpha) + g) / temperature)``.

    g are Gumbel draws; at a low temperature one entry of a row is near 1, and each is it with the
    probability of its softmax share (arXiv 1611.01144, equation 2).
    """
    gumbel = -torch.empty_like(alphas).exponential_().log()
    return ((alphas.log_softmax(dim=-1) + gumbel) / temperature).softmax(dim=-1)


@dataclass(frozen=True)
class Concrete:
    """SNAS: draws from the concrete distribution, colder over the search (1812.09926, eq. 6).

    Args:
        start, end: See `Temperature`.
    """

    start: float = 1.0
    end: float = 0.1
    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Temperature(self.start, self.end)

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """A draw for each row."""
        return relaxed_samples(alphas, Temperature(self.start, self.end).at(progress))

    def shares(self, alphas: Tensor) -> Tensor:
        """Softmax of each row, the probability of each candidate at temperature 0."""
        return alphas.softmax(dim=-1)


@dataclass(frozen=True)
class GumbelMax:
    """GDAS: one candidate of each edge by a hard Gumbel draw (arXiv 1910.04465, equations 5 and 6).

    Forward, the drawn candidate has weight 1 and the others 0, and they are not run; backward, the
    draw is the concrete distribution's. Only the drawn candidate tells the alphas something.

    Args:
        start, end: Temperature of the backward pass; the published ones, between which GDAS goes in
            a straight line and `Temperature` by equal factors.
    """

    start: float = 10.0
    end: float = 0.1
    samples: ClassVar[bool] = True
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Temperature(self.start, self.end)

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """1 for the drawn candidate of each row, exactly 0 for the others."""
        soft = relaxed_samples(alphas, Temperature(self.start, self.end).at(progress))
        drawn = soft.detach().argmax(dim=-1, keepdim=True)
        hard = torch.zeros_like(soft).scatter_(-1, drawn, 1.0)
        return hard - soft.detach() + soft

    def shares(self, alphas: Tensor) -> Tensor:
        """Softmax of each row, the probability of each candidate."""
        return alphas.softmax(dim=-1)


@dataclass(frozen=True)
class Dirichlet:
    """DrNAS: weights drawn from a Dirichlet distribution (arXiv 2006.10355, section 3.1).

    Its concentrations are ``elu(alpha) + 1``; the draw's gradient is pathwise. The published search
    adds `darts_lite.DirichletAnchor`.
    """

    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """A draw for each row."""
        return torch.distributions.Dirichlet(concentrations(alphas)).rsample()

    def shares(self, alphas: Tensor) -> Tensor:
        """The distribution's mean."""
        strengths = concentrations(alphas)
        return strengths / strengths.sum(dim=-1, keepdim=True)


def concentrations(alphas: Tensor) -> Tensor:
    """``elu(alpha) + 1``, kept above 0, where elu ends for very negative alphas."""
    return (torch.nn.functional.elu(alphas) + 1).clamp_min(1e-4)


@dataclass(frozen=True)
class Sigmoid:
    """FairDARTS: every candidate for itself (arXiv 1911.12126, equation 6).

    No candidate grows at the cost of another, so none has the advantage of being easy. The
    published search adds `darts_lite.ZeroOne`.
    """

    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        """Sigmoid of each entry."""
        return alphas.sigmoid()

    def shares(self, alphas: Tensor) -> Tensor:
        """Sigmoid of each entry; a row need not sum to 1."""
        return alphas.sigmoid()


RELAXATIONS = (Softmax, Concrete, GumbelMax, Dirichlet, Sigmoid)
