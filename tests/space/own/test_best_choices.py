"""The best choices within bounds."""

import math
from itertools import product
from random import Random

import pytest
import torch
from own_networks import MyNet, Widths

from darts_lite import NetworkSpace, WithinBudget
from darts_lite.derivation.costs import measure_costs
from darts_lite.space.cost_tables import Bound, Images
from darts_lite.space.own import best_choices

IMAGES = Images(1, 10, 28)


def score(space: NetworkSpace, point: tuple[int, ...], shares: dict[str, torch.Tensor]) -> float:
    choices = space.architecture(point).choices
    total = 0.0
    for name, group in space.groups.items():
        for rows, kept in zip(group.split(shares[name]), choices[name], strict=True):
            total += sum(math.log(rows[row, group.options.index(o)]) for o, row in kept)
    return total


@pytest.mark.parametrize("network", [MyNet, Widths])
def test_no_choices_within_bounds_are_better(network: type) -> None:
    space, random = NetworkSpace(network).with_data(*IMAGES), Random(0)
    names = ("parameters", "multiply_adds", "flash")
    costs = [measure_costs(space, name, IMAGES) for name in names]
    points = [*product(*map(range, space.sizes))]
    nets = [space.architecture(point) for point in points]
    table = [[cost.of(net) for cost in costs] for net in nets]
    for trial in range(12):
        torch.manual_seed(trial)
        shares = {n: torch.rand(g.shape) + 0.01 for n, g in space.groups.items()}
        limits = [random.choice(column) for column in zip(*table, strict=True)]
        bounds = [Bound(cost, 1, limit) for cost, limit in zip(costs, limits, strict=True)]
        fitting = [
            score(space, point, shares)
            for point, row in zip(points, table, strict=True)
            if all(value <= limit for value, limit in zip(row, limits, strict=True))
        ]
        choices, least = space.choose_within(shares, bounds)
        assert least == [min(column) for column in zip(*table, strict=True)]
        if not fitting:
            assert choices is None
            continue
        assert choices is not None
        net = space.build(choices)
        assert all(bound.admits(net) for bound in bounds)
        assert score(space, space.locate(choices), shares) >= max(fitting) - 1e-5


@pytest.mark.slow
def test_memory_is_kept_to_as_well() -> None:
    space = NetworkSpace(MyNet).with_data(*IMAGES)
    shares = {name: torch.ones(group.shape) for name, group in space.groups.items()}
    rule = WithinBudget(parameters=700, memory=3000).with_data(*IMAGES)
    net = space.build(rule(space, shares))
    assert rule.admits(space, net) and net.genotype()
    with pytest.raises(ValueError, match="no architecture of the space has .* memory"):
        WithinBudget(memory=100).with_data(*IMAGES)(space, shares)


def test_too_many_ways_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    space = NetworkSpace(MyNet).with_data(*IMAGES)
    shares = {name: torch.ones(group.shape) for name, group in space.groups.items()}
    bounds = [Bound(measure_costs(space, "multiply_adds", IMAGES), 1, 1e6)]
    monkeypatch.setattr(best_choices, "MOST_WAYS", 10)
    with pytest.raises(ValueError, match="depend on each other in .* ways"):
        space.choose_within(shares, bounds)
