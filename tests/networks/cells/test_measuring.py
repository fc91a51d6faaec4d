"""Costs of cells, against those of their nets."""

from random import Random

import pytest
import torch
from run_helpers import SMALL, cost_table

from darts_lite.derivation.costs import COSTS
from darts_lite.networks.cells.measuring import trace_shapes
from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import (
    SearchSpace,
    darts_space,
    mnist_space,
    nasbench201_space,
)
from darts_lite.space.cost_tables import Images
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


def test_shapes_are_those_that_a_net_computes() -> None:
    """A stem of stride 2, a normal cell of 4 channels, a reducing one of 8 that halves the map."""
    found = SMALL.first_architecture()
    assert isinstance(found, Architecture)
    random = torch.get_rng_state()
    stem, (normal, reduce) = trace_shapes(found, Images(3, 10, 26))
    assert torch.equal(random, torch.get_rng_state())
    assert stem == (8, 13)
    assert normal == ("normal", ((4, 13),) * 4, (8, 13))
    assert reduce == ("reduce", ((8, 13), (8, 13), (8, 7), (8, 7)), (16, 7))
    net = Net(found, 3, 10)
    assert net.skeleton.stem(torch.zeros(1, 3, 26, 26)).shape == (1, 8, 13, 13)
    assert net.skeleton.classifier.in_features == 16
