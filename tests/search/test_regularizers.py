"""Penalties on the alphas."""

import math

import pytest
import torch

from darts_lite.search.regularizers import BetaDecay, DirichletAnchor, ZeroOne


def test_beta_decay_is_the_mean_logsumexp_and_grows_with_progress() -> None:
    alphas = {"normal": torch.zeros(2, 4), "reduce": torch.zeros(1, 4)}
    penalty = BetaDecay(3.0).penalty
    assert penalty(alphas, 0.0) == 0
    assert math.isclose(float(penalty(alphas, 0.5)), 1.5 * math.log(4), rel_tol=1e-6)


def test_beta_decay_pushes_down_in_proportion_to_the_shares() -> None:
    alpha = torch.tensor([[2.0, 0.0, -1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(BetaDecay(1.0).penalty({"normal": alpha}, 1.0), alpha)
    assert torch.allclose(gradient, alpha.softmax(dim=-1))


def test_zero_one_rewards_what_is_decided() -> None:
    undecided, decided = {"normal": torch.zeros(2, 3)}, {"normal": torch.full((2, 3), -50.0)}
    assert ZeroOne(10.0).penalty(undecided, 0.3) == 0
    assert ZeroOne(10.0).penalty(decided, 0.3) == -2.5
    mixed = {"normal": torch.zeros(1, 3), "reduce": torch.full((1, 3), 50.0)}
    assert ZeroOne(10.0).penalty(mixed, 0.3) == -1.25


def test_the_anchor_is_the_divergence_from_the_uniform_distribution() -> None:
    assert DirichletAnchor(1.0).penalty({"normal": torch.zeros(4, 3)}, 0.0) == pytest.approx(
        0, abs=1e-6
    )
    # Dirichlet(2, 1) has the density 2 x, whose divergence is the integral of 2 x log(2 x).
    alphas = {"normal": torch.tensor([[1.0, 0.0], [0.0, 0.0]]), "reduce": torch.tensor([[1.0, 0]])}
    expected = 2 * (math.log(2) - 0.5)
    assert float(DirichletAnchor(3.0).penalty(alphas, 0.0)) == pytest.approx(3 * expected, rel=1e-5)


@pytest.mark.parametrize("kind", [BetaDecay, ZeroOne, DirichletAnchor])
def test_a_negative_strength_is_refused(kind: type) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        kind(-1.0)


def test_penalties_take_groups_of_other_numbers_of_options() -> None:
    alphas = {"kernel": torch.ones(2, 3), "width": torch.ones(1, 2)}
    alone = [{name: rows} for name, rows in alphas.items()]
    anchor = DirichletAnchor(2.0).penalty
    assert anchor(alphas, 0.0) == sum(anchor(one, 0.0) for one in alone)
    assert BetaDecay(1.0).penalty(alphas, 1.0) > 0 > ZeroOne().penalty(alphas, 1.0)
