"""Where to look next: random search, local search and regularised evolution.

A point of a space is a tuple of choices, choice i being one of ``0 ... sizes[i] - 1``. A strategy
proposes points and is told their values, larger being better. It keeps no secret: what it knows is
in `state`, as plain values, and the generator is given to it, so a search can stop and go on.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from darts_lite.space.encoding import PATIENCE, Point, random_point


def neighbours(point: Point, sizes: Sequence[int]) -> Iterator[Point]:
    """All points that differ in one choice."""
    for place, size in enumerate(sizes):
        for choice in range(size):
            if choice != point[place]:
                yield (*point[:place], choice, *point[place + 1 :])


class Strategy(Protocol):
    """Proposes points and learns from their values."""

    def propose(self, sizes: Sequence[int], random: Random) -> Point:
        """The next point to evaluate; it may be one that is known already."""
        ...

    def report(self, point: Point, value: float) -> None:
        """Tells the value of what was proposed last."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        ...


@dataclass
class RandomSearch:
    """Every point uniformly: the baseline that a search has to beat (arXiv 1902.07638)."""

    def propose(self, sizes: Sequence[int], random: Random) -> Point:
        """See `Strategy`."""
        return random_point(sizes, random)

    def report(self, point: Point, value: float) -> None:
        """See `Strategy`."""

    def state(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Strategy`."""


@dataclass
class LocalSearch:
    """Moves to the first better neighbour, and starts anew where there is none.

    The neighbours of the incumbent come in random order; from a local optimum it goes on at a
    random point (arXiv 2005.02960, which takes the best neighbour instead).
    """

    _incumbent: tuple[Point, float] | None = field(default=None, init=False)
    _waiting: list[Point] = field(default_factory=list, init=False)

    def propose(self, sizes: Sequence[int], random: Random) -> Point:
        """See `Strategy`."""
        if self._incumbent is None:
            return random_point(sizes, random)
        if not self._waiting:
            self._waiting = list(neighbours(self._incumbent[0], sizes))
            random.shuffle(self._waiting)
        return self._waiting.pop()

    def report(self, point: Point, value: float) -> None:
        """See `Strategy`."""
        if self._incumbent is None or value > self._incumbent[1]:
            self._incumbent, self._waiting = (point, value), []
        elif not self._waiting:
            self._incumbent = None

    def state(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {"incumbent": self._incumbent, "waiting": list(self._waiting)}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Strategy`."""
        incumbent = state["incumbent"]
        self._incumbent = incumbent and (tuple(incumbent[0]), incumbent[1])
        self._waiting = [tuple(point) for point in state["waiting"]]


@dataclass
class Evolution:
    """Regularised evolution (arXiv 1802.01548, algorithm 1): the oldest dies, not the worst.

    The first points are random; then the best of a random tournament has a child that differs in
    one choice.

    Args:
        population: How many live at a time.
        tournament: How many of them compete to be the parent.

    Raises:
        ValueError: if the tournament is larger than the population, or one of them is below 1.
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
        """See `Strategy`."""
        if len(self._living) < self.population:
            return random_point(sizes, random)
        parent, _ = max(random.sample(self._living, self.tournament), key=lambda one: one[1])
        return random.choice(list(neighbours(parent, sizes)))

    def report(self, point: Point, value: float) -> None:
        """See `Strategy`."""
        self._living = [*self._living, (point, value)][-self.population :]

    def state(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {"living": list(self._living)}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Strategy`."""
        self._living = [(tuple(point), value) for point, value in state["living"]]


def explore(
    strategy: Strategy,
    sizes: Sequence[int],
    evaluate: Callable[[Point], float],
    random: Random,
    known: dict[Point, float],
) -> Iterator[tuple[Point, float]]:
    """Points and values as they are evaluated for the first time, until the space is explored.

    Args:
        strategy: Where to look.
        sizes: Number of options of each choice.
        evaluate: The value of a point, larger being better. A known point is not evaluated again.
        random: Source of all chance.
        known: Values so far; each new one is added.
    """
    everything, repeated = math.prod(sizes), 0
    while len(known) < everything and repeated < PATIENCE:
        point = strategy.propose(sizes, random)
        repeated += 1
        if point in known:
            strategy.report(point, known[point])
            continue
        known[point], repeated = evaluate(point), 0
        strategy.report(point, known[point])
        yield point, known[point]
