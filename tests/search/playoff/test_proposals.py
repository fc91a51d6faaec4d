"""The nets of a play-off: by hand, at random, and children."""

from dataclasses import replace
from itertools import islice
from operator import ne
from random import Random

from run_helpers import SMALL

from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.rules import Strongest
from darts_lite.search.playoff.proposals import (
    CHANGED,
    MOST_CHANGES,
    change_choices,
    draw_points,
    pick_by_hand,
    propose_children,
    propose_opening,
)
from darts_lite.space.layers.layer_space import LayerSpace

SPACE = LayerSpace(stages=(2, 2), placements=("stem 1", "stem 2", "half stem"))
RULE = WithinBudget(parameters=2000, multiply_adds=200_000, memory=4096).with_data(1, 10, 28)


def test_nets_by_hand_use_the_budget_and_are_different_ideas() -> None:
    made = pick_by_hand(SPACE, RULE, 9)
    assert [each.family for each in made[:3]] == [
        "separable",
        "separable residual",
        "inverted residual",
    ]
    assert len({(each.family, each.idea) for each in made}) == 9
    for each in made:
        used = RULE.use(SPACE, SPACE.build(each.choices))
        assert max(used) <= 1 and min(used) > 0.3
    assert pick_by_hand(SMALL, Strongest(), 9) == []  # cells have no such families


def test_random_nets_use_the_budget() -> None:
    points = [*draw_points(SPACE, RULE, 2, Random(0))]
    assert len(set(points)) == 2
    for point in points:
        assert all(0.9 <= used <= 1 for used in RULE.use(SPACE, SPACE.architecture(point)))


def test_where_no_net_uses_the_budget_random_ones_are_within_it() -> None:
    tiny = LayerSpace((3,), (4,), (1,), (3,), (4, 8), (0,), ("stem", "1"), ("off",), (1,))
    rule = WithinBudget(parameters=1_000_000).with_data(1, 10, 28)
    nets = [each.genotype() for each, _ in propose_opening(tiny, rule, 0, 30, Random(0))]
    assert len(nets) == len({*nets}) == 4  # all there are
    opening = [*propose_opening(tiny, rule, 4, 30, Random(0))]
    made = {each.genotype() for each, origin in opening if origin != "random"}
    assert made and len({each.genotype() for each, _ in opening}) == len(opening) == 4
    only = LayerSpace((3,), (4,), (1,), (3,), (4,), (0,), ("stem",), ("off",), (1,))
    assert len([*propose_opening(only, rule, 0, 3, Random(0))]) == 1


def test_changes_are_few_and_reach_all_options() -> None:
    sizes, random = (3, 1, 5, 2, 7), Random(0)
    changed = [change_choices((0, 0, 4, 1, 3), sizes, random) for _ in range(300)]
    for place, size in enumerate(sizes):
        assert {point[place] for point in changed} == set(range(size))
    assert max(sum(map(ne, point, (0, 0, 4, 1, 3))) for point in changed) == MOST_CHANGES
    assert change_choices((0, 0), (1, 1), random) == (0, 0)


def test_children_are_new_nets_within_the_limits() -> None:
    parent = SPACE.build(pick_by_hand(SPACE, RULE, 1)[0].choices)
    known = [SPACE.locate(parent.choices)]
    born = [*islice(propose_children(SPACE, RULE, [(parent, "hand")], known, Random(0)), 30)]
    assert {origin for _, origin in born} == {"hand" + CHANGED}
    assert len({child.genotype() for child, _ in born} | {parent.genotype()}) == 31
    assert all(RULE.admits(SPACE, child) for child, _ in born)
    assert sum(max(RULE.use(SPACE, child)) > 0.9 for child, _ in born) >= 10
    few = LayerSpace((3,), (4,), (1,), (3,), (4, 8), (0,), ("stem",), ("off",), (1,))  # of two nets
    start = few.first_architecture()
    (other,) = propose_children(few, Strongest(), [(start, "")], [(0,) * len(few.sizes)], Random(0))
    assert other[0].genotype() == "stem 3x3-4/2 3x3-8"


def test_a_lower_limit_takes_nothing_but_small_nets() -> None:
    bounded = replace(RULE, least_parameters=1950)
    made = pick_by_hand(SPACE, bounded, 10_000)
    assert all(bounded.admits(SPACE, SPACE.build(each.choices)) for each in made)
    large = [
        each.family
        for each in SPACE.scale_families(lambda one: RULE.admits(SPACE, SPACE.build(one)))
        if bounded.admits(SPACE, SPACE.build(each.choices))
    ]
    assert {each.family for each in made} == {*large}
