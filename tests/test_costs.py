"""Costs of architectures, against those of their nets."""

from random import Random

import pytest
import torch

from darts_lite.costs import COSTS, CostTable
from darts_lite.encoding import Encoding, one_path
from darts_lite.net import Net
from darts_lite.search_space import SearchSpace, darts_space, mnist_space, nasbench201_space
from darts_lite.strategies import random_point

SPACES = [darts_space(4, 4, 3), mnist_space(8), nasbench201_space(4, 3)]


def table(space: SearchSpace, name: str) -> CostTable:
    return CostTable.measure(space, COSTS[name], in_channels=1, num_classes=10, image_size=13)


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_cost_is_that_of_the_net(space: SearchSpace, name: str) -> None:
    encoding, random, costs = Encoding(space), Random(0), table(space, name)
    image = torch.empty(1, 1, 13, 13)
    for _ in range(6):
        architecture = encoding.architecture(random_point(encoding.sizes, random))
        assert costs.of(architecture) == COSTS[name](Net(architecture, 1, 10), image)


def test_the_published_parameters() -> None:
    costs = CostTable.measure(nasbench201_space(), COSTS["parameters"], 3, 10, 32)
    everywhere = Encoding(nasbench201_space()).architecture((0, 3) * 1 + (0, 3, 3) + (0, 3, 3, 3))
    assert costs.of(everywhere) == 1_531_546
    assert costs.rest == 73_306


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_expectation_of_a_decided_search_is_the_cost(space: SearchSpace) -> None:
    encoding, costs = Encoding(space), table(space, "parameters")
    architecture = encoding.architecture(random_point(encoding.sizes, Random(1)))
    shares = {k: path + 1e-12 for k, path in one_path(space, architecture).items()}
    assert float(costs.expected(shares)) == pytest.approx(costs.of(architecture), rel=1e-5)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_expectation_has_the_slope_of_finite_differences(space: SearchSpace) -> None:
    torch.manual_seed(0)
    costs = table(space, "multiply_adds")
    alphas = {k: torch.randn(*e.shape, dtype=torch.float64) for k, e in costs.edges.items()}
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


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
def test_maps_may_shrink_to_a_pixel(name: str) -> None:
    space = darts_space(4, 4, 2)
    costs = CostTable.measure(space, COSTS[name], in_channels=1, num_classes=10, image_size=4)
    architecture = Encoding(space).architecture((0,) * len(Encoding(space).sizes))
    assert costs.of(architecture) == COSTS[name](Net(architecture, 1, 10), torch.zeros(1, 1, 4, 4))
