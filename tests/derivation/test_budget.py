"""Limits that no derived net exceeds."""

import sys
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from run_helpers import cost_table, quiet_trainer

from darts_lite import Choice, NetworkSpace
from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.costs import measure_costs
from darts_lite.derivation.rules import Strongest, derive
from darts_lite.networks.net import Net
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cells.search_space import SearchSpace, darts_space, nasbench201_space
from darts_lite.space.cost_tables import Images
from darts_lite.space.protocol import AnyArchitecture

budget = partial(WithinBudget, image_size=28, in_channels=1, num_classes=10)


def random_shares(space: SearchSpace, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    shape = (sum(space.edges_per_node), len(space.candidates))
    return {kind: torch.randn(shape).softmax(dim=-1) for kind in space.skeleton.kinds}


SMALL_SPACES = [
    SearchSpace(
        ("none", "skip_connect", "conv_1x1", "conv_3x3"),
        nodes=2,
        channels=4,
        cells=2,
        reductions=(),
    ),
    nasbench201_space(channels=4, cells=3),
]
FAST_AND_SLOW = [SMALL_SPACES[0], pytest.param(SMALL_SPACES[1], marks=pytest.mark.slow)]


def score(
    space: SearchSpace, shares: dict[str, torch.Tensor], architecture: AnyArchitecture
) -> float:
    paths = space.path(architecture)
    return sum(float((path * shares[kind].log()).sum()) for kind, path in paths.items())


@pytest.mark.parametrize("space", [*SMALL_SPACES, darts_space(4, 3)], ids=lambda space: space.name)
def test_without_a_limit_a_budget_is_the_usual_rule(space: SearchSpace) -> None:
    for seed in range(3):
        shares = random_shares(space, seed)
        assert budget()(space, shares) == Strongest()(space, shares)
        generous = budget(parameters=10**9, multiply_adds=10**12)
        assert generous(space, shares) == Strongest()(space, shares)


@pytest.mark.parametrize("space", SMALL_SPACES, ids=lambda space: space.name)
def test_a_budget_is_kept_and_nothing_better_fits(space: SearchSpace) -> None:
    tables = {
        name: measure_costs(space, name, Images(1, 10, 28))
        for name in ("parameters", "multiply_adds")
    }
    every = [space.architecture(point) for point in product(*map(range, space.sizes))]
    costs = {name: [table.of(one) for one in every] for name, table in tables.items()}
    shares = random_shares(space, 0)
    scores = [score(space, shares, one) for one in every]
    for share in (0.1, 0.5):
        limits = {
            name: int(sorted(values)[int(share * len(every))]) for name, values in costs.items()
        }
        for kept in ({"parameters"}, {"multiply_adds"}, {"parameters", "multiply_adds"}):
            asked = {name: limit for name, limit in limits.items() if name in kept}
            found = derive(
                space, shares, {}, budget(asked.get("parameters"), asked.get("multiply_adds"))
            )
            fits = [
                all(costs[n][i] <= limit for n, limit in asked.items()) for i in range(len(every))
            ]
            net = Net(found, 1, 10)
            assert sum(p.numel() for p in net.parameters()) <= asked.get("parameters", 10**9)
            best = max(s for s, fit in zip(scores, fits, strict=True) if fit)
            assert score(space, shares, found) == pytest.approx(best, abs=1e-4)


def test_a_budget_below_everything_is_refused() -> None:
    message = "has at most 10 parameters; its architectures have at least [0-9]+ parameters"
    with pytest.raises(ValueError, match=message):
        budget(parameters=10)(SMALL_SPACES[0], random_shares(SMALL_SPACES[0], 0))


@pytest.mark.parametrize("space", FAST_AND_SLOW, ids=["custom", "nasbench201"])
def test_the_best_choice_of_at_least_so_many_parameters(space: SearchSpace) -> None:
    every = [space.architecture(point) for point in product(*map(range, space.sizes))]
    table = cost_table(space, "parameters")
    sizes = [table.of(each) for each in every]
    with torch.device("meta"):
        for each, size in list(zip(every, sizes, strict=True))[:: len(every) // 20]:
            assert sum(p.numel() for p in Net(each, 1, 10).parameters()) == size
    low, high = sorted(sizes)[len(sizes) // 2], sorted(sizes)[-len(sizes) // 8]
    for seed in range(3):
        shares = random_shares(space, seed)
        rule = budget(parameters=int(high), least_parameters=int(low))
        found = derive(space, shares, {}, rule)
        inside = [each for each, size in zip(every, sizes, strict=True) if low <= size <= high]
        assert found.choices in [each.choices for each in inside]
        best = max(score(space, shares, each) for each in inside)
        assert score(space, shares, found) == pytest.approx(best, abs=1e-4)
        admitted = [rule.admits(space, each) for each in every]
        assert admitted == [low <= size <= high for size in sizes]


def test_a_least_size_that_nothing_has() -> None:
    with pytest.raises(ValueError, match="at least 1000000 parameters; its .* have at most"):
        budget(least_parameters=10**6)(SMALL_SPACES[0], random_shares(SMALL_SPACES[0], 0))
    with pytest.raises(ValueError, match="no net has at least 20 and at most 10 parameters"):
        budget(parameters=10, least_parameters=20)


def test_a_budget_can_be_that_of_a_larger_net_than_the_supernet() -> None:
    space = replace(SMALL_SPACES[0], cells=3, reductions=(1,))
    shares = random_shares(space, 0)
    larger: dict[str, Any] = {"channels": 6, "cells": 5, "reductions": (2,), "stem": "conv3x3"}
    freely = derive(space, shares, {}).in_skeleton(larger)
    size = sum(p.numel() for p in Net(freely, 1, 10).parameters())
    assert derive(space, shares, {}, budget(size, **larger)).choices == freely.choices
    tighter = derive(space, shares, {}, budget(size - 1, **larger)).in_skeleton(larger)
    assert sum(p.numel() for p in Net(tighter, 1, 10).parameters()) < size
    with pytest.raises(
        ValueError, match="net to retrain has normal cells, but the search has normal and"
    ):
        budget(size, cells=2, reductions=())(space, shares)


def test_a_budget_takes_from_a_search_what_it_was_not_given_about_the_data() -> None:
    space, shares = SMALL_SPACES[0], random_shares(SMALL_SPACES[0], 0)
    with pytest.raises(ValueError, match="needs in_channels, num_classes and image_size"):
        WithinBudget(9000, in_channels=3)(space, shares)
    with pytest.raises(ValueError, match="multiply_adds needs .* got 3, 7, None"):
        WithinBudget(9000, 10**9, in_channels=3, num_classes=7)(space, shares)
    rule = WithinBudget(9000, in_channels=3).with_data(in_channels=1, num_classes=7)
    rule = rule.with_data(num_classes=10, image_size=32)
    assert rule == WithinBudget(9000, in_channels=3, num_classes=7, image_size=32)
    rule(space, shares)
    assert Strongest().with_data(in_channels=1) == Strongest()


def test_a_search_counts_the_classes_and_channels_of_its_data(digits: ImageData) -> None:
    space = SMALL_SPACES[0]
    freely = derive(space, random_shares(space, 0), {})
    most = {n: sum(p.numel() for p in Net(freely, n, 10).parameters()) for n in (1, 3)}
    for channels in (1, 3):
        search = ArchitectureSearch(space, channels, derivation=WithinBudget(most[channels]))
        assert isinstance(search.derivation, WithinBudget)
        assert search.derivation.in_channels == channels
    search = ArchitectureSearch(space, derivation=WithinBudget(most[1]))
    search.derive()  # parameters do not depend on the size, which is not known yet
    quiet_trainer(max_steps=1, limit_val_batches=0).fit(search, datamodule=digits)
    assert search.hparams["derivation"]["init_args"]["image_size"] == 28
    net = Net(search.derive(), 1, 10)
    assert sum(p.numel() for p in net.parameters()) <= most[1]


def test_a_budget_is_above_zero() -> None:
    with pytest.raises(ValueError, match="a budget of parameters must be above 0, got -5"):
        budget(parameters=-5)


def make_network(channels: int) -> type[torch.nn.Module]:
    class Edited(torch.nn.Module):
        def __init__(self, in_channels: int, num_classes: int) -> None:
            super().__init__()
            self.stem = torch.nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
            sizes = {
                f"c{k}": torch.nn.Conv2d(channels, channels, k, padding="same") for k in (3, 5)
            }
            self.body = Choice(sizes)
            self.last = torch.nn.Linear(channels, num_classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.last(self.body(self.stem(x)).mean((2, 3)))
            return y

    Edited.__qualname__ = "Edited"
    return Edited


def test_a_class_that_is_written_anew_has_other_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a cell of a notebook is edited, and runs again."""
    for channels, option in ((8, "c5"), (16, "c3")):
        network = make_network(channels)
        monkeypatch.setattr(sys.modules[__name__], "Edited", network, raising=False)
        space = NetworkSpace(network).with_data(1, 10, 28)
        rule = budget(parameters=5000)
        shares = {name: torch.tensor([[0.1, 0.9]]) for name in space.groups}
        found = space.build(rule(space, shares))
        assert found.genotype() == f"body={option}"
        assert measure_costs(space, "parameters", Images(1, 10, 28)).of(found) <= 5000
        Net(found, 1, 10)
