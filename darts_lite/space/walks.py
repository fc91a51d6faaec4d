"""Draws architectures within bounds that hardly any architecture of a space fulfils."""

from collections.abc import Callable
from random import Random

from darts_lite.space.groups import Point, random_point
from darts_lite.space.protocol import AnyArchitecture, Space

LONGEST = 20_000
"""Number of steps after which a walk that is not within the bounds ends."""
MIXING = 10
"""Steps within the bounds, for each choice of the space: the walk forgets where it came in."""


def draw_within(
    space: Space, violation: Callable[[AnyArchitecture], float], random: Random
) -> AnyArchitecture | None:
    """Draws an architecture by a random walk into the bounds; None if it does not find a way.

    Each step changes one choice, and is taken back if it leads farther out. Within the bounds all
    steps are equally likely in both directions, so what the walk reaches is drawn uniformly.

    Args:
        violation: Returns how far an architecture is outside of the bounds, 0 within.
    """
    changeable = [place for place, size in enumerate(space.sizes) if size > 1]

    def change(point: Point) -> Point:
        place = random.choice(changeable)
        return (*point[:place], random.randrange(space.sizes[place]), *point[place + 1 :])

    point = random_point(space.sizes, random)
    found = space.architecture(point, {"algorithm": "random"})
    excess, inside = violation(found), 0
    for _ in range(LONGEST):
        if excess == 0 and (inside := inside + 1) > MIXING * len(changeable):
            return found
        nearby = change(point)
        other = space.architecture(nearby, {"algorithm": "random"})
        if (its := violation(other)) <= excess:
            point, found, excess = nearby, other, its
    return None
