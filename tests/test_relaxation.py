"""Mixing weights, beta-decay and the diagnostics of the alphas."""

import math

import pytest
import torch

from darts_lite.relaxation import BetaDecay, Softmax, drift, normalized_entropy, top2_margins


def test_softmax_rows_sum_to_one() -> None:
    alphas = torch.randn(5, 7, dtype=torch.float64)
    for weights in (Softmax().mixing_weights(alphas), Softmax().shares(alphas)):
        assert torch.allclose(weights.sum(dim=-1), torch.ones(5, dtype=torch.float64))
        assert torch.allclose(weights[0, 1] / weights[0, 0], (alphas[0, 1] - alphas[0, 0]).exp())


def test_beta_decay_is_the_mean_logsumexp_and_grows_with_progress() -> None:
    alphas = {"normal": torch.zeros(2, 4), "reduce": torch.zeros(1, 4)}
    penalty = BetaDecay(3.0)
    assert penalty(alphas, 0.0) == 0
    assert math.isclose(float(penalty(alphas, 0.5)), 1.5 * math.log(4), rel_tol=1e-6)


def test_beta_decay_pushes_down_in_proportion_to_the_shares() -> None:
    alpha = torch.tensor([[2.0, 0.0, -1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(BetaDecay(1.0)({"normal": alpha}, 1.0), alpha)
    assert torch.allclose(gradient, alpha.softmax(dim=-1))


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        BetaDecay(-1.0)


def test_diagnostics_at_their_ends() -> None:
    uniform, decided = torch.full((3, 4), 0.25), torch.eye(4)[:3]
    assert math.isclose(float(normalized_entropy(uniform)), 1, rel_tol=1e-6)
    assert normalized_entropy(decided) == 0
    assert torch.equal(top2_margins(uniform), torch.zeros(3))
    assert torch.equal(top2_margins(decided), torch.ones(3))
    assert drift(uniform, uniform) == 0
    assert drift(decided, uniform) == 0.75


def test_one_candidate_is_a_clear_decision() -> None:
    assert torch.equal(top2_margins(torch.ones(2, 1)), torch.ones(2))
    assert normalized_entropy(torch.ones(2, 1)) == 0
