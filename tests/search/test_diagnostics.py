"""Diagnostics of shares."""

import math

import torch

from darts_lite.search.diagnostics import compute_drift, compute_entropy, compute_margins, diagnose


def test_diagnostics_at_their_ends() -> None:
    uniform, decided = torch.full((3, 4), 0.25), torch.eye(4)[:3]
    assert math.isclose(float(compute_entropy(uniform)), 1, rel_tol=1e-6)
    assert compute_entropy(decided) == 0
    assert torch.equal(compute_margins(uniform), torch.zeros(3))
    assert torch.equal(compute_margins(decided), torch.ones(3))
    assert compute_drift(uniform, uniform) == 0
    assert compute_drift(decided, uniform) == 0.75


def test_one_candidate_is_a_clear_decision() -> None:
    assert torch.equal(compute_margins(torch.ones(2, 1)), torch.ones(2))
    assert compute_entropy(torch.ones(2, 1)) == 0


def test_rows_are_taken_relative_to_their_sum() -> None:
    shares, scaled = torch.rand(3, 4), torch.tensor([[0.5], [2.0], [1.0]])
    assert torch.allclose(compute_entropy(shares), compute_entropy(shares * scaled))
    assert torch.allclose(compute_margins(shares), compute_margins(shares * scaled))
    assert compute_drift(shares, shares * scaled) < 1e-6


def test_the_share_of_skip_connections() -> None:
    shares = torch.tensor([[1.0, 3.0], [2.0, 2.0]])
    assert diagnose(shares, shares, ["conv_3x3", "skip_connect"])["skip_share"] == 0.625
    assert "skip_share" not in diagnose(shares, shares, ["conv_3x3", "conv_1x1"])
