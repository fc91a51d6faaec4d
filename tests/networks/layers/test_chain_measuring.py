"""Costs of chains by their names."""

import pytest

from darts_lite.derivation.costs import measure_costs
from darts_lite.space.cells.search_space import mnist_space
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.layer_space import LayerSpace

IMAGES = Images(1, 10, 28)


def test_each_kind_has_its_costs() -> None:
    space = LayerSpace()
    first = space.first_architecture()
    assert measure_costs(space, "memory", IMAGES).of(first) == 784 + 2 * 14 * 14
    with pytest.raises(ValueError, match="no costs 'latency'; choose from"):
        measure_costs(space, "latency", IMAGES)
    with pytest.raises(ValueError, match="cells have no costs 'memory'"):
        measure_costs(mnist_space(), "memory", IMAGES)
