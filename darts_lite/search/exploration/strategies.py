"""Strategies of a search without gradients: random search, local search, regularised evolution.

A point of a space is a tuple of choices, choice i being one of ``0 ... sizes[i] - 1``. A strategy
proposes points and is told their values, larger being better. Its state can be read as plain
values, and the random generator is given to it, so a search can stop and resume.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from darts_lite.space.groups import PATIENCE, Point, random_point

TRIES = 50
"""Number of proposals outside the limits in a row, of which the last one is led within."""
STUCK = 1000
"""Number of proposals without a new point after which random points are taken instead."""


def iterate_neighbours(point: Point, sizes: Sequence[int]) -> Iterator[Point]:
    """Yields all points that differ in one choice."""
    for place, size in enumerate(sizes):
        for choice in range(size):
            if choice != point[place]:
                yield (*point[:place], choice, *point[place + 1 :])


class Strategy(Protocol):
    """Proposes points and learns from their values."""

    def propose(self, sizes: Sequence[int], random: Random) -> Point:
        """Returns the next point to evaluate, which may be known already."""
        ...

    def report(self, point: Point, value: float) -> None:
        """Takes the value of the point that was proposed last, or of a random one instead."""
        ...

    def state(self) -> dict[str, Any]:
        """Returns plain values from which `restore` continues."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Restores what `state` returned."""
        ...


@dataclass
class RandomSearch:
    """Draws every point uniformly: the baseline that a search has to beat (arXiv 1902.07638)."""

    def propose(self, sizes: Sequence[int], random: Random) -> Point:
        return random_point(sizes, random)

    def report(self, point: Point, value: float) -> None:
        """Learns nothing from values."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Has no state to restore."""


@dataclass
class LocalSearch:
    """Moves to the first better neighbour, and restarts if there is none.

    The neighbours of the incumbent come in random order; from a local optimum the search restarts
    at a random point (arXiv 2005.02960, which takes the best neighbour instead).
    """

    _incumbent: tuple[Point, float] | None = field(default=None, init=False)
    _waiting: list[Point] = field(default_factory=list, init=False)

    def propose(self, sizes: Sequence[int], random: Random) -> Point:
        if self._incumbent is None:
            return random_point(sizes, random)
        if not self._waiting:
            self._waiting = list(iterate_neighbours(self._incumbent[0], sizes))
            random.shuffle(self._waiting)
        return self._waiting.pop()

    def report(self, point: Point, value: float) -> None:
        if self._incumbent is None or value > self._incumbent[1]:
            self._incumbent, self._waiting = (point, value), []
        elif not self._waiting:
            self._incumbent = None

    def state(self) -> dict[str, Any]:
        return {"incumbent": self._incumbent, "waiting": list(self._waiting)}

    def restore(self, state: dict[str, Any]) -> None:
        incumbent = state["incumbent"]
        self._incumbent = incumbent and (tuple(incumbent[0]), incumbent[1])
        self._waiting = [tuple(point) for point in state["waiting"]]


@dataclass
class Evolution:
    """Regularised evolution (arXiv 1802.01548, algorithm 1): the oldest point dies, not the worst.

    The first points are random; then the best point of a random tournament has a child that differs
    in one choice.

    Args:
        population: Number of points that live at a time.
        tournament: Number of them that compete to be the parent.
    """

    population: int = 20
    tournament: int = 10
    _living: list[tuple[Point, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.tournament <= self.population:
            raise ValueError(
                f"tournament must be 1 to the population, {self.population}; got {self.tournament}"
            )

    def propose(self, sizes: Sequence[int], random: Random) -> Point:
        if len(self._living) < self.population:
            return random_point(sizes, random)
        parent, _ = max(random.sample(self._living, self.tournament), key=lambda one: one[1])
        return random.choice(list(iterate_neighbours(parent, sizes)))

    def report(self, point: Point, value: float) -> None:
        self._living = [*self._living, (point, value)][-self.population :]

    def state(self) -> dict[str, Any]:
        return {"living": list(self._living)}

    def restore(self, state: dict[str, Any]) -> None:
        self._living = [(tuple(point), value) for point, value in state["living"]]


def explore(
    strategy: Strategy,
    sizes: Sequence[int],
    evaluate: Callable[[Point], float],
    random: Random,
    known: dict[Point, float],
    admits: Callable[[Point], bool] = lambda point: True,
    lead: Callable[[Point], Point] = lambda point: point,
) -> Iterator[tuple[Point, float]]:
    """Yields points and values as they are evaluated first, until the space is explored.

    A strategy may propose known points alone, as a population of one kind does; random points then
    take the place of its proposals until one of them is new.

    Args:
        sizes: Number of options of each choice.
        evaluate: Returns the value of a point, larger being better; called once per point.
        known: Values so far; each new one is added.
        admits: Tells whether a point is within the limits. A proposal outside is dropped, so that
            draws stay uniform.
        lead: Changes a point until it is within; it gets the last of `TRIES` proposals outside.
    """
    everything, repeated, outside = math.prod(sizes), 0, 0
    while len(known) < everything and repeated < PATIENCE:
        stuck = repeated >= STUCK
        point = random_point(sizes, random) if stuck else strategy.propose(sizes, random)
        repeated += 1
        if point not in known and not admits(point):
            outside += 1
            if outside < TRIES:
                continue
            point = lead(point)
        outside = 0
        if point in known:
            strategy.report(point, known[point])
            continue
        known[point], repeated = evaluate(point), 0
        strategy.report(point, known[point])
        yield point, known[point]
