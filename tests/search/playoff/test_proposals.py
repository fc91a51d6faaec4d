"""The nets of a play-off: by hand, at random, and children."""

from random import Random

from run_helpers import SMALL

from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.rules import Strongest
from darts_lite.search.playoff.proposals import change_choices, draw_points, pick_by_hand
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


def test_a_child_differs_in_a_few_choices_and_is_admitted() -> None:
    sizes, random = (3, 1, 5, 2), Random(0)
    children = {change_choices((0, 0, 4, 1), sizes, lambda p: p[2] > 2, random) for _ in range(300)}
    assert None not in children and (0, 0, 4, 1) not in children
    assert {point[2] for point in children if point} == {3, 4}
    assert {point[0] for point in children if point} == {0, 1, 2}
    assert change_choices((0, 0), (2, 2), lambda _: False, random) is None
    assert change_choices((0, 0), (1, 1), lambda _: True, random) is None
