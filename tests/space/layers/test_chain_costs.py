"""Costs of chains, exactly and on average."""

import statistics
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain_costs import COUNTED, ChainCosts
from darts_lite.space.layers.layer_space import LayerSpace

SPACE = LayerSpace(
    stem_widths=(4, 8, 12),
    stages=(2, 2),
    widths=(4, 8, 16),
    expansions=("full", 0, 1, 3),
    placements=("stem 1", "half", "1 2"),
)
IMAGES = Images(1, 10, 28)
DRAWS = 3000


def some_shares(seed: int, space: LayerSpace = SPACE) -> dict[str, Tensor]:
    """Shares of all choices."""
    torch.manual_seed(seed)
    return {name: torch.randn(g.shape).softmax(dim=1) for name, g in space.groups.items()}


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("name", COUNTED)
def test_the_mean_is_that_of_drawn_chains(name: str, axes: int) -> None:
    costs, shares = ChainCosts(replace(SPACE, axes=axes), name, IMAGES), some_shares(0)
    drawn = {key: torch.multinomial(rows, DRAWS, True).T.tolist() for key, rows in shares.items()}
    chosen = ({key: rows[number] for key, rows in drawn.items()} for number in range(DRAWS))
    found = [costs.of(costs.space.build(SPACE.name_options(places))) for places in chosen]
    error = statistics.stdev(found) / DRAWS**0.5
    assert float(costs.expected(shares)) == pytest.approx(statistics.fmean(found), abs=4 * error)


@pytest.mark.parametrize("name", COUNTED)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    costs = ChainCosts(SPACE, name, IMAGES)
    shares = {key: rows.double().requires_grad_() for key, rows in some_shares(1).items()}
    gradients = torch.autograd.grad(costs.expected(shares), [*shares.values()])
    for key, gradient in zip(shares, gradients, strict=True):
        step = torch.zeros_like(shares[key])
        step[-1, 0] = 1e-5
        ends = [
            float(costs.expected({**shares, key: (shares[key] + sign * step).detach()}).detach())
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / 2e-5
        assert float(gradient[-1, 0]) == pytest.approx(slope, rel=1e-4, abs=1e-6 * abs(ends[0]))


def test_certain_shares_cost_what_the_chain_costs() -> None:
    for name in COUNTED:
        costs, chain = ChainCosts(SPACE, name, IMAGES), SPACE.first_architecture()
        assert float(costs.expected(SPACE.path(chain))) == costs.of(chain)
