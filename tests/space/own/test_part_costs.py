"""Costs that are sums of tables."""

from random import Random
from typing import Any

import pytest
import torch
from own_networks import Darts, MyNet
from run_helpers import some_slow

from darts_lite import NetworkSpace
from darts_lite.derivation.costs import measure_costs
from darts_lite.space.cost_tables import Images
from darts_lite.space.own.part_costs import PartCosts

IMAGES = Images(1, 10, 28)


def drawn(space: NetworkSpace, shares: dict[str, torch.Tensor], random: Random) -> Any:
    """Draws choices with the probabilities that expected costs are for."""
    choices = {}
    for name, group in space.groups.items():
        sets = []
        for rows in group.split(shares[name]):
            strengths = rows[:, [*group.selectable]].sum(dim=1).tolist()
            kept = [*range(len(rows))]
            if group.kept is not None:  # one that keeps each row k times its share on average
                kept = sorted(_draw_kept(strengths, group.kept, random))
            weights = rows[:, [*group.selectable]].tolist()
            sets.append(
                tuple(
                    (group.options[random.choices(group.selectable, weights[row])[0]], row)
                    for row in kept
                )
            )
        choices[name] = tuple(sets)
    return choices


def _draw_kept(strengths: list[float], count: int, random: Random) -> list[int]:
    """Draws rows by systematic sampling, which keeps each with its probability exactly."""
    total, place, kept, at = sum(strengths), 0.0, [], random.random()
    for row, strength in enumerate(strengths):
        place += count * strength / total
        while at < place:
            kept.append(row)
            at += 1
    return kept[:count]


@pytest.mark.parametrize("network", some_slow([MyNet], [Darts]))
def test_expected_costs_are_the_mean_over_drawn_nets(network: Any) -> None:
    space, random = NetworkSpace(network).with_data(*IMAGES), Random(0)
    costs = measure_costs(space, "parameters", IMAGES)
    torch.manual_seed(0)
    shares = {n: 0.5 + torch.rand(group.shape) for n, group in space.groups.items()}
    values = [costs.of(space.build(drawn(space, shares, random))) for _ in range(600)]
    mean, expected = sum(values) / len(values), float(costs.expected(shares))
    deviation = torch.tensor(values).std() / len(values) ** 0.5
    assert abs(mean - expected) < 4 * deviation


def test_their_gradients_are_right() -> None:
    space = NetworkSpace(MyNet).with_data(*IMAGES)
    costs = measure_costs(space, "multiply_adds", IMAGES)
    shares = {n: torch.rand(g.shape, dtype=torch.float64) + 0.1 for n, g in space.groups.items()}
    names = [*shares]

    def value(*rows: torch.Tensor) -> torch.Tensor:
        return costs.expected(dict(zip(names, rows, strict=True))) / 1e5

    assert torch.autograd.gradcheck(value, [shares[n].requires_grad_() for n in names])


def test_tables_come_back() -> None:
    space = NetworkSpace(MyNet).with_data(*IMAGES)
    costs = measure_costs(space, "parameters", IMAGES)
    assert isinstance(costs, PartCosts)
    content = costs.to_dict()
    again = PartCosts.from_dict(space, content)
    assert again.parts.keys() == costs.parts.keys() and again.rest == costs.rest
    for broken in (
        {},
        {"parts": [3], "rest": 1.0},
        {"parts": [{"choices": ["nose"]}], "rest": 0.0},
    ):
        with pytest.raises(ValueError, match="table of costs"):
            PartCosts.from_dict(space, broken)
    content["parts"][0]["costs"] = [-1.0]
    with pytest.raises(ValueError, match="numbers of at least 0"):
        PartCosts.from_dict(space, content)
