"""Mixing weights and shares."""

import pytest
import torch
from torch import Tensor

from darts_lite.search.relaxations import (
    RELAXATIONS,
    Concrete,
    Dirichlet,
    GumbelMax,
    Relaxation,
    Sigmoid,
    Softmax,
    Temperature,
    draw_concrete,
)

ALL: list[Relaxation] = [kind() for kind in RELAXATIONS]
ALPHAS = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)


def ids(relaxation: object) -> str:
    return type(relaxation).__name__


def test_softmax_rows_sum_to_one() -> None:
    for weights in (Softmax().mixing_weights(ALPHAS, 0.5), Softmax().shares(ALPHAS)):
        assert torch.allclose(weights.sum(dim=-1), torch.ones(2, dtype=torch.float64))
        assert torch.allclose(weights[0, 0] / weights[0, 1], torch.tensor(1.0).exp().double())


@pytest.mark.parametrize("relaxation", ALL, ids=ids)
def test_weights_have_a_gradient_in_every_alpha_and_shares_rank_alike(
    relaxation: Relaxation,
) -> None:
    torch.manual_seed(0)
    alphas = ALPHAS.clone().requires_grad_()
    slopes = torch.zeros_like(ALPHAS)
    for _ in range(20):  # a draw that is decided has almost no slope
        weights = relaxation.mixing_weights(alphas, 0.2)
        assert weights.shape == alphas.shape and (weights >= 0).all()
        (slope,) = torch.autograd.grad((weights * torch.rand_like(weights)).sum(), alphas)
        slopes += slope.abs()
    assert (slopes > 0).all()
    shares = relaxation.shares(ALPHAS)
    assert torch.equal(shares.argsort(dim=-1), ALPHAS.argsort(dim=-1))


@pytest.mark.parametrize("relaxation", ALL, ids=ids)
def test_only_what_is_called_deterministic_repeats_itself(relaxation: Relaxation) -> None:
    torch.manual_seed(0)
    first, second = (relaxation.mixing_weights(ALPHAS, p) for p in (0.1, 0.9))
    assert torch.equal(first, second) == relaxation.deterministic


def frequencies(weights: Tensor) -> Tensor:
    """How often each candidate has the largest weight, ``(draws, candidates)`` -> shares."""
    return weights.argmax(dim=-1).bincount(minlength=weights.shape[-1]) / len(weights)


def test_gumbel_draws_follow_the_softmax_shares() -> None:
    torch.manual_seed(0)
    rows = ALPHAS[:1].expand(40_000, -1)
    expected = ALPHAS[0].softmax(dim=-1).float()
    for temperature in (0.1, 5.0):
        found = frequencies(draw_concrete(rows, temperature))
        assert torch.allclose(found, expected, atol=0.01)
    assert torch.allclose(frequencies(GumbelMax().mixing_weights(rows, 0.0)), expected, atol=0.01)


def test_gumbel_max_gives_exactly_one_candidate_weight() -> None:
    torch.manual_seed(0)
    alphas = torch.randn(500, 8, requires_grad=True)
    weights = GumbelMax().mixing_weights(alphas, 0.7)
    assert ((weights != 0).sum(dim=-1) == 1).all()
    assert torch.allclose(weights.sum(dim=-1), torch.ones(500))


def test_a_colder_draw_is_nearer_to_a_decision() -> None:
    torch.manual_seed(0)
    rows = ALPHAS[:1].expand(2000, -1)
    warm, cold = (Concrete(1.0, 0.1).mixing_weights(rows, p).amax(dim=-1).mean() for p in (0, 1))
    assert cold > warm + 0.1
    assert Temperature(10.0, 0.1).at(0.5) == pytest.approx(1.0)


def test_dirichlet_draws_have_the_shares_as_their_mean() -> None:
    torch.manual_seed(0)
    draws = Dirichlet().mixing_weights(ALPHAS[:1].expand(40_000, -1), 0.0)
    assert torch.allclose(draws.mean(dim=0), Dirichlet().shares(ALPHAS)[0], atol=0.01)
    assert Dirichlet().mixing_weights(torch.full((2, 3), -50.0), 0.0).isfinite().all()


def test_sigmoids_do_not_compete() -> None:
    more = ALPHAS + torch.tensor([1.0, 0.0, 0.0])
    assert torch.equal(Sigmoid().shares(more)[:, 1:], Sigmoid().shares(ALPHAS)[:, 1:])


def test_a_temperature_must_be_one() -> None:
    for kind in (Concrete, GumbelMax):
        with pytest.raises(ValueError, match="temperatures must be above 0"):
            kind(start=0.0)
