"""The best chain within bounds, against all chains."""

from dataclasses import replace
from itertools import product
from random import Random

import pytest
import torch
from run_helpers import some_slow

from darts_lite.space.cost_tables import Bound, Images
from darts_lite.space.groups import random_point
from darts_lite.space.layers.chain_costs import COUNTED, ChainCosts
from darts_lite.space.layers.layer_space import LayerSpace

SMALL = LayerSpace(
    stem_kernels=(3,),
    stem_widths=(4,),
    stages=(2, 1),
    kernels=(3, 5),
    widths=(4, 8),
    expansions=("full", 0, 2),
    placements=("stem 1", "half"),
    heads=(1, 3),
)
IMAGES = Images(1, 10, 28)


@pytest.mark.parametrize("axes", some_slow([2], [1]))
def test_no_chain_within_the_bounds_is_better(axes: int) -> None:
    costs = {name: ChainCosts(replace(SMALL, axes=axes), name, IMAGES) for name in COUNTED}
    small = replace(SMALL, axes=axes)
    chains = [small.architecture(point) for point in product(*map(range, SMALL.sizes))]
    paths = [SMALL.path(chain) for chain in chains]
    every = {
        name: torch.tensor([cost.of(chain) for chain in chains]) for name, cost in costs.items()
    }
    random, found_some = Random(0), 0
    for seed in range(10):
        torch.manual_seed(seed)
        shares = {n: (2 * torch.randn(g.shape)).softmax(dim=1) for n, g in SMALL.groups.items()}
        logs = torch.cat([rows.log().flatten() for rows in shares.values()])
        scores = torch.stack([torch.cat([*map(torch.flatten, p.values())]) for p in paths]) @ logs
        bounds, inside = [], torch.ones(len(chains), dtype=torch.bool)
        for name in random.sample([*costs], random.randint(0, 3)):
            sign = -1 if name != "memory" and random.random() < 0.3 else 1
            share = random.uniform(0, 0.5)
            value = float(every[name].quantile(share if sign > 0 else 1 - share))
            bounds.append(Bound(costs[name], sign, value))
            inside &= sign * every[name] <= sign * value
        choices, least = small.choose_within(shares, bounds)
        if not inside.any():
            assert choices is None
            assert least == [float((b.sign * every[b.costs.name]).min()) for b in bounds]  # type: ignore[attr-defined]
            continue
        assert choices is not None
        assert all(bound.admits(small.build(choices)) for bound in bounds)
        found_some += 1
        path = torch.cat([*map(torch.flatten, SMALL.path(SMALL.build(choices)).values())])
        torch.testing.assert_close(path @ logs, scores[inside].max())
    assert found_some > 5


def test_memory_has_no_lower_limit() -> None:
    shares = SMALL.path(SMALL.first_architecture())
    with pytest.raises(ValueError, match="memory has an upper limit only"):
        SMALL.choose_within(shares, [Bound(ChainCosts(SMALL, "memory", IMAGES), -1, 1000)])


@pytest.mark.slow
def test_no_chain_that_is_derived_is_above_a_bound() -> None:
    space, random = LayerSpace(placements=("stem 1", "stem 2", "half 1")), Random(0)
    costs = {name: ChainCosts(space, name, IMAGES) for name in COUNTED}
    found = 0
    for seed in range(100):
        torch.manual_seed(seed)
        shares = {n: torch.randn(g.shape).softmax(dim=1) for n, g in space.groups.items()}
        some = space.architecture(random_point(space.sizes, random))  # so that a chain fits
        names = random.sample([*costs], random.randint(1, 4))
        bounds = [Bound(costs[name], 1, costs[name].of(some)) for name in names]
        choices, _ = space.choose_within(shares, bounds)
        assert choices is not None
        steps = [*space.build(choices).steps(IMAGES)]
        for bound, name in zip(bounds, names, strict=True):
            cost, join = COUNTED[name]
            assert join(map(cost, steps)) <= bound.value
        found += 1
    assert found == 100
