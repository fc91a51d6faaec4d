"""Draws architectures within bounds that hardly any architecture of a space fulfils."""

import math
from collections.abc import Callable, Iterator
from random import Random

from darts_lite.space.groups import Point, random_point
from darts_lite.space.protocol import AnyArchitecture, Space

LONGEST = 20_000
"""Number of steps after which a walk that is not within the bounds ends."""
MIXING = 20
"""Steps for each choice of the space, after which a walk has forgotten where it began."""
WALKS = 3
"""Largest number of walks for each architecture that is wanted."""
TEMPERATURE = 0.1
"""Excess by which a step outwards is taken with the probability 1/e."""


def draw_within(
    space: Space, excess: Callable[[AnyArchitecture], float], random: Random
) -> AnyArchitecture | None:
    """Draws an architecture by a random walk through the space; None if it meets none within.

    A Metropolis walk: each step changes one choice, and one that leads farther out of the bounds is
    taken with ``exp(-change / TEMPERATURE)``. So architectures within the bounds are met equally
    often, and the first one after `MIXING` is drawn nearly uniformly.

    Args:
        excess: Returns how far an architecture is outside of the bounds, as the logarithm of a
            share; 0 within.
    """
    steps = MIXING * sum(size > 1 for size in space.sizes)
    return _walk(space, random_point(space.sizes, random), excess, random, steps)


def iterate_within(
    space: Space, excess: Callable[[AnyArchitecture], float], random: Random
) -> Iterator[AnyArchitecture]:
    """Yields what `draw_within` draws, until a walk meets nothing within."""
    while (found := draw_within(space, excess, random)) is not None:
        yield found


def lead_within(
    space: Space, point: Point, excess: Callable[[AnyArchitecture], float], random: Random
) -> Point | None:
    """Changes a point, one choice after another, until it is within; None if that fails."""
    found = _walk(space, point, excess, random, 0)
    return None if found is None else space.locate(found.choices)


def _walk(
    space: Space,
    point: Point,
    excess: Callable[[AnyArchitecture], float],
    random: Random,
    least: int,
) -> AnyArchitecture | None:
    """Returns the first architecture within that is met after at least so many steps."""
    changeable = [place for place, size in enumerate(space.sizes) if size > 1]

    def change(point: Point) -> Point:
        place = random.choice(changeable)
        return (*point[:place], random.randrange(space.sizes[place]), *point[place + 1 :])

    def build(point: Point) -> AnyArchitecture:
        return space.architecture(point, {"algorithm": "random"})

    found = build(point)
    outside = excess(found)
    for step in range(LONGEST):
        if outside == 0 and step >= least:
            return found
        if not changeable:
            return None
        nearby = change(point)
        other = build(nearby)
        its = excess(other)
        if its <= outside or random.random() < math.exp((outside - its) / TEMPERATURE):
            point, found, outside = nearby, other, its
    return None
