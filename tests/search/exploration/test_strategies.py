"""Strategies of exploration, on landscapes whose best point is known."""

import json
from collections.abc import Callable
from itertools import islice
from random import Random

import pytest

from darts_lite.search.exploration.strategies import (
    Evolution,
    LocalSearch,
    RandomSearch,
    Strategy,
    explore,
    iterate_neighbours,
)
from darts_lite.space.groups import Point

SIZES = (5, 4, 3, 5, 4)
KINDS: list[Callable[[], Strategy]] = [RandomSearch, LocalSearch, Evolution]


def hill(point: Point) -> float:
    """One optimum, at (1, 1, 1, 1, 1), and a slope towards it in every choice."""
    return -float(sum((choice - 1) ** 2 for choice in point))


def best_after(make: Callable[[], Strategy], count: int, seed: int) -> float:
    values = explore(make(), SIZES, hill, Random(seed), {})
    return max(value for _, value in islice(values, count))


def test_neighbours_differ_in_one_choice() -> None:
    around = list(iterate_neighbours((0, 1), (2, 3)))
    assert sorted(around) == [(0, 0), (0, 2), (1, 1)]


@pytest.mark.parametrize("make", KINDS)
def test_only_first_evaluations_count_and_a_space_ends(make: Callable[[], Strategy]) -> None:
    asked: list[Point] = []

    def value(point: Point) -> float:
        asked.append(point)
        return hill(point)

    seen = list(explore(make(), (3, 3, 2), value, Random(0), {}))
    assert len(seen) == len(set(asked)) == len(asked) <= 18
    if make is not Evolution:  # whose population may die out around one point
        assert len(seen) == 18


def test_learning_beats_chance() -> None:
    means = {
        make.__name__: sum(best_after(make, 60, seed) for seed in range(30)) / 30 for make in KINDS
    }
    assert means["LocalSearch"] > means["RandomSearch"] + 0.2
    assert means["Evolution"] > means["RandomSearch"] + 0.2


def test_local_search_starts_anew_at_an_optimum() -> None:
    strategy, random = LocalSearch(), Random(0)
    strategy.report((1, 1), 1.0)
    around = [strategy.propose((3, 2), random) for _ in range(3)]
    assert sorted(around) == sorted(iterate_neighbours((1, 1), (3, 2)))
    for point in around:
        strategy.report(point, 0.0)
    assert strategy.state() == {"incumbent": None, "waiting": []}


def test_local_search_moves_at_the_first_better_neighbour() -> None:
    strategy, random = LocalSearch(), Random(0)
    strategy.report((1, 1), 1.0)
    first = strategy.propose((3, 2), random)
    strategy.report(first, 2.0)
    assert strategy.propose((3, 2), random) in set(iterate_neighbours(first, (3, 2)))


def test_evolution_forgets_the_oldest_not_the_worst() -> None:
    strategy = Evolution(population=2, tournament=2)
    for point, value in (((0, 0), 9.0), ((1, 1), 1.0), ((2, 1), 2.0)):
        strategy.report(point, value)
    child = strategy.propose((3, 2), Random(0))
    assert child in set(iterate_neighbours((2, 1), (3, 2)))


@pytest.mark.parametrize("make", KINDS)
def test_a_stopped_search_goes_on_as_if_it_had_not(make: Callable[[], Strategy]) -> None:
    whole = list(islice(explore(make(), SIZES, hill, Random(7), {}), 80))
    random, known, first = Random(7), dict[Point, float](), make()
    before = list(islice(explore(first, SIZES, hill, random, known), 30))
    saved = json.loads(json.dumps({"strategy": first.state(), "random": random.getstate()}))
    version, internal, rest = saved["random"]
    again, other = make(), Random()
    other.setstate((version, tuple(internal), rest))
    again.restore(saved["strategy"])
    after = list(islice(explore(again, SIZES, hill, other, dict(known)), 50))
    assert before + after == whole


def test_a_tournament_larger_than_the_population_is_refused() -> None:
    with pytest.raises(ValueError, match="tournament must be 1 to the population, 3; got 4"):
        Evolution(population=3, tournament=4)


def test_a_population_of_one_kind_is_no_end() -> None:
    """All neighbours of the only point are outside, so that evolution alone meets nothing."""
    far = {(a, a, a, b, b) for a in range(3) for b in range(4)}
    within = min(far)
    met = explore(
        Evolution(1, 1), SIZES, hill, Random(0), {}, far.__contains__, lambda point: within
    )
    assert {point for point, _ in met} == far
