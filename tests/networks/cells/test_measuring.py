"""Costs of cells, against those of their nets."""

from random import Random

import pytest
import torch
from run_helpers import cost_table

from darts_lite.derivation.costs import COSTS
from darts_lite.networks.net import Net
from darts_lite.space.cells.search_space import (
    SearchSpace,
    darts_space,
    mnist_space,
    nasbench201_space,
)
from darts_lite.space.groups import random_point

SPACES = [darts_space(4, 4, 3), mnist_space(8), nasbench201_space(4, 3)]


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_cost_is_that_of_the_net(space: SearchSpace, name: str) -> None:
    random, costs = Random(0), cost_table(space, name)
    image = torch.empty(1, 1, 13, 13)
    for _ in range(6):
        architecture = space.architecture(random_point(space.sizes, random))
        assert costs.of(architecture) == COSTS[name](Net(architecture, 1, 10), image)


def test_the_published_parameters() -> None:
    costs = cost_table(nasbench201_space(), "parameters", 3, 32)
    everywhere = nasbench201_space().architecture((0, 3) * 1 + (0, 3, 3) + (0, 3, 3, 3))
    assert costs.of(everywhere) == 1_531_546
    assert costs.rest == 73_306


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
def test_maps_may_shrink_to_a_pixel(name: str) -> None:
    space = darts_space(4, 4, 2)
    net = Net(space.first_architecture(), 1, 10)
    cost = cost_table(space, name, side=4).of(net.architecture)
    assert cost == COSTS[name](net, torch.zeros(1, 1, 4, 4))
