"""Rivals of what a search has found."""

from statistics import fmean
from typing import Any

import pytest
from run_helpers import SMALL

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.costs import measure_costs
from darts_lite.runs.controls import draw_rivals, list_rivals
from darts_lite.runs.settings import RunSettings
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.layer_space import LayerSpace

LIMITS: dict[str, Any] = {"parameters": 2000, "multiply_adds": 200_000, "memory": 4096}


def test_rivals_made_by_hand_and_as_many_as_time_allows(digits: ImageData) -> None:
    space = LayerSpace(stages=(2, 2), placements=("stem 1", "stem 2"))
    model = ArchitectureSearch(space, derivation=WithinBudget(parameters=2000))
    uniform = RunSettings(control="uniform", control_nets=4)
    rule = model.derivation.with_data(1, 10, 28)
    (first, *rest) = list_rivals(uniform, model, space.first_architecture(), digits, 0, {})
    assert first.name.startswith("By hand, separable (") and len(rest) == 3
    assert all(rule.admits(space, each.architecture) for each in (first, *rest))
    others = list_rivals(uniform, model, first.architecture, digits, 0, {})
    assert first.name not in {each.name for each in others} and len(others) == 4
    spent = {"search_seconds": 21.0, "retrain_seconds": 10.0}
    best_of = RunSettings(control="best_of")
    drawn = list_rivals(best_of, model, first.architecture, digits, 0, spent)
    assert [each.name for each in drawn] == ["Random net 1", "Random net 2", "Random net 3"]


def test_fewer_rivals_than_were_asked_for_are_told(digits: ImageData) -> None:
    tiny = SearchSpace(("skip_connect", "conv_1x1"), nodes=1, channels=4, cells=1, reductions=())
    model, found = ArchitectureSearch(tiny), tiny.first_architecture()
    with pytest.warns(UserWarning, match="only 3 of 5 rivals are trained"):
        list_rivals(RunSettings(control="random", control_nets=5), model, found, digits, 0, {})


@pytest.mark.slow
def test_rivals_use_most_of_several_limits(digits: ImageData) -> None:
    space = LayerSpace(stages=(2, 2), placements=("stem 1", "stem 2"))
    model = ArchitectureSearch(space, derivation=WithinBudget(**LIMITS))
    drawn = draw_rivals(model, space.first_architecture(), digits, 2, seed=0)
    assert len({str(each) for each in drawn}) == 2
    for name, limit in LIMITS.items():
        costs = measure_costs(space, name, Images(1, 10, 28))
        assert all(0.9 * limit <= costs.of(each) <= limit for each in drawn), name


@pytest.mark.slow
def test_rivals_keep_to_limits_that_none_can_use(digits: ImageData) -> None:
    model = ArchitectureSearch(SMALL, derivation=WithinBudget(parameters=10**8))
    assert len(draw_rivals(model, SMALL.first_architecture(), digits, 2, seed=0)) == 2
    wide = LayerSpace(stages=(1, 1), widths=(8, 16, 24, 32, 48, 64), placements=("stem 1",))
    limits = WithinBudget(parameters=4000, memory=10**6)  # of which no such net uses most
    drawn = draw_rivals(
        ArchitectureSearch(wide, derivation=limits), wide.first_architecture(), digits, 6, seed=0
    )
    rule = limits.with_data(1, 10, 28)
    used = [rule.use(wide, each)[0] for each in drawn]
    assert len(drawn) == 6 and max(used) <= 1 and fmean(used) > 0.6
