"""Costs of chains by their names."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from run_helpers import one_line
from torch import Tensor, nn

from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.costs import load_or_measure_costs, load_table, measure_costs
from darts_lite.derivation.costs import multiply_adds as count
from darts_lite.derivation.rules import derive
from darts_lite.networks.layers.chain_measuring import measure_layers
from darts_lite.space.cells.search_space import mnist_space
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point
from darts_lite.space.layers.chain import Chain
from darts_lite.space.layers.layer_space import LayerSpace

IMAGES = Images(1, 10, 28)
SMALL = LayerSpace(widths=(4, 8), kernels=(3, 5), stages=(2, 1), placements=("stem", "half 1"))


def test_each_kind_has_its_costs() -> None:
    space = LayerSpace()
    first = space.first_architecture()
    assert measure_costs(space, "memory", IMAGES).of(first) == 784 + 2 * 14 * 14
    with pytest.raises(ValueError, match="no costs 'beauty'; choose from"):
        measure_costs(space, "beauty", IMAGES)
    with pytest.raises(ValueError, match="latency needs a device"):
        measure_costs(space, "latency", IMAGES)
    with pytest.raises(ValueError, match="cells have no costs 'memory'"):
        measure_costs(mnist_space(), "memory", IMAGES)


def test_latency_is_a_sum_over_layers() -> None:
    def linear(module: nn.Module, x: Tensor) -> float:
        return 0.5 + 2 * count(module, x)  # what the rates can tell exactly

    costs, random = measure_layers(SMALL, "latency", linear, IMAGES, "cpu"), Random(0)
    for _ in range(8):
        chain = SMALL.build(SMALL.architecture(random_point(SMALL.sizes, random)).choices)
        expected = sum(0.5 + 2 * step.multiply_adds for step in chain.steps(IMAGES))
        assert costs.of(chain) == pytest.approx(expected, rel=1e-6)
    shares = {name: torch.ones(group.shape) for name, group in SMALL.groups.items()}
    drawn = [SMALL.architecture(random_point(SMALL.sizes, random)) for _ in range(4000)]
    mean = sum(map(costs.of, drawn)) / len(drawn)
    assert float(costs.expected(shares)) == pytest.approx(mean, rel=0.05)


def test_a_budget_of_latency_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    costs = load_or_measure_costs(path, SMALL, "latency", IMAGES)
    assert SMALL.read_costs(load_table(path)) == costs
    torch.manual_seed(0)
    shares = {name: torch.rand(group.shape) for name, group in SMALL.groups.items()}
    free = costs.of(derive(SMALL, shares, {}))
    data: dict[str, Any] = {"image_size": 28, "in_channels": 1, "num_classes": 10}
    rule = WithinBudget(latency=0.8 * free, latency_table=str(path), **data)
    found = derive(SMALL, shares, {}, rule)
    assert isinstance(found, Chain) and 0 < costs.of(found) <= 0.8 * free


def test_what_halves_the_image_counts_in_a_budget(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    load_or_measure_costs(path, SMALL, "latency", IMAGES)
    content = json.loads(path.read_text())
    content["rates"]["half"] = [0.05, 0.0, 0.0]  # milliseconds
    path.write_text(json.dumps(content))
    costs = SMALL.read_costs(load_table(path))
    for seed in range(20):
        torch.manual_seed(seed)
        shares = {name: torch.rand(group.shape) for name, group in SMALL.groups.items()}
        limit = 0.8 * costs.of(derive(SMALL, shares, {}))
        data: dict[str, Any] = {"image_size": 28, "in_channels": 1, "num_classes": 10}
        rule = WithinBudget(latency=limit, latency_table=str(path), **data)
        assert costs.of(derive(SMALL, shares, {}, rule)) <= limit


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        (None, "rates: 'full 1x1' must have three numbers, got None"),
        ({"full 1x1": [1, 2]}, "must have three numbers"),
        ({"full 1x1": [1, 2, -1]}, "must be at least 0"),
        ({"full 1x1": [1, 2, "a"]}, "must be at least 0"),
    ],
)
def test_a_table_without_rates_is_refused(rates: Any, told: str, tmp_path: Path) -> None:
    content = {"cost": "latency", "images": [1, 28, 28], "classes": 10, "rates": rates}
    with pytest.raises(ValueError) as caught:
        SMALL.read_costs(content)
    one_line(caught, told)
