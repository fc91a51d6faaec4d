"""Diagnostics of shares."""

import pytest
import torch

from darts_lite.search.diagnostics import (
    compute_drifts,
    compute_entropy,
    compute_margins,
    diagnose,
)
from darts_lite.space.groups import Group


def test_diagnostics_at_their_ends() -> None:
    uniform, decided = torch.full((3, 4), 0.25), torch.eye(4)[:3]
    assert float(compute_entropy(uniform)) == pytest.approx(1)
    assert compute_entropy(decided) == 0
    assert torch.equal(compute_margins(uniform), torch.zeros(3))
    assert torch.equal(compute_margins(decided), torch.ones(3))
    assert torch.equal(compute_drifts(uniform, uniform), torch.zeros(3))
    assert torch.equal(compute_drifts(decided, uniform), torch.full((3,), 0.75))


def test_one_candidate_is_a_clear_decision() -> None:
    assert torch.equal(compute_margins(torch.ones(2, 1)), torch.ones(2))
    assert compute_entropy(torch.ones(2, 1)) == 0


def test_rows_are_taken_relative_to_their_sum() -> None:
    shares, scaled = torch.rand(3, 4), torch.tensor([[0.5], [2.0], [1.0]])
    assert torch.allclose(compute_entropy(shares), compute_entropy(shares * scaled))
    assert torch.allclose(compute_margins(shares), compute_margins(shares * scaled))
    assert (compute_drifts(shares, shares * scaled) < 1e-6).all()


def group(*options: str, rows: int = 2) -> Group:
    return Group("", ("",) * rows, options, (rows,))


def test_the_share_of_skip_connections() -> None:
    shares = {"a": torch.tensor([[1.0, 3.0], [2.0, 2.0]])}
    skipping = {"a": group("conv_3x3", "skip_connect")}
    assert diagnose(shares, shares, skipping)["skip_share"] == 0.625
    assert "skip_share" not in diagnose(shares, shares, {"a": group("conv_3x3", "conv_1x1")})


def test_groups_with_different_options_are_measured_together() -> None:
    uniform = {"a": torch.full((2, 2), 0.5), "b": torch.full((1, 4), 0.25)}
    decided = {"a": torch.eye(2), "b": torch.eye(4)[:1]}
    groups = {"a": group("x", "y"), "b": group(*"wxyz", rows=1)}
    assert diagnose(uniform, uniform, groups)["entropy"] == 1
    found = diagnose(decided, uniform, groups)
    assert found == pytest.approx({"entropy": 0, "median_top2_margin": 1, "drift": 1.75 / 3})
