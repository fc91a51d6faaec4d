"""Tables of costs: exact and expected costs."""

from random import Random

import pytest
import torch
from run_helpers import cost_table

from darts_lite.space.cells.search_space import (
    SearchSpace,
    darts_space,
    mnist_space,
    nasbench201_space,
)
from darts_lite.space.groups import random_point

SPACES = [darts_space(4, 4, 3), mnist_space(8), nasbench201_space(4, 3)]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_expectation_of_a_decided_search_is_the_cost(space: SearchSpace) -> None:
    costs = cost_table(space, "parameters")
    architecture = space.architecture(random_point(space.sizes, Random(1)))
    shares = {k: path + 1e-12 for k, path in space.path(architecture).items()}
    assert float(costs.expected(shares)) == pytest.approx(costs.of(architecture), rel=1e-5)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_expectation_has_the_slope_of_finite_differences(space: SearchSpace) -> None:
    torch.manual_seed(0)
    costs = cost_table(space, "multiply_adds")
    alphas = {k: torch.randn(*e.shape, dtype=torch.float64) for k, e in costs.options.items()}
    for alpha in alphas.values():
        alpha.requires_grad_()

    def expected() -> torch.Tensor:
        return costs.expected({k: alpha.softmax(dim=-1) for k, alpha in alphas.items()})

    slopes = torch.autograd.grad(expected(), list(alphas.values()))
    for alpha, slope in zip(alphas.values(), slopes, strict=True):
        assert (slope != 0).float().mean() > 0.8
        for place in [(0, 1), (1, 2), (2, 0)]:
            with torch.no_grad():
                alpha[place] += 1e-5
                above = expected()
                alpha[place] -= 2e-5
                below = expected()
                alpha[place] += 1e-5
            assert float(above - below) / 2e-5 == pytest.approx(float(slope[place]), rel=1e-5)
