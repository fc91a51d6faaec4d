"""Diagnostics of shares."""

import math

import torch

from darts_lite.search.diagnostics import diagnose, drift, normalized_entropy, top2_margins


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


def test_rows_are_taken_relative_to_their_sum() -> None:
    shares, scaled = torch.rand(3, 4), torch.tensor([[0.5], [2.0], [1.0]])
    assert torch.allclose(normalized_entropy(shares), normalized_entropy(shares * scaled))
    assert torch.allclose(top2_margins(shares), top2_margins(shares * scaled))
    assert drift(shares, shares * scaled) < 1e-6


def test_the_share_of_skip_connections() -> None:
    shares = torch.tensor([[1.0, 3.0], [2.0, 2.0]])
    assert diagnose(shares, shares, ["conv_3x3", "skip_connect"])["skip_share"] == 0.625
    assert "skip_share" not in diagnose(shares, shares, ["conv_3x3", "conv_1x1"])
