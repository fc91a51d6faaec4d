"""Where the contenders of a play-off come from."""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from math import prod
from random import Random

import torch

from darts_lite.derivation.consensus import draw_architectures
from darts_lite.derivation.rules import Rule
from darts_lite.space.groups import Choices, Point
from darts_lite.space.protocol import AnyArchitecture, HandMade, Space
from darts_lite.space.walks import draw_within

Proposal = tuple[AnyArchitecture, str]
"""A net for a play-off, and who proposed it."""
CHANGED = ", changed"
"""Ends the origin of a net whose parent had the rest of it as origin."""
MOST_CHANGES = 3
"""Largest number of choices in which a child differs from its parent."""
PATIENCE = 2000
"""Number of children in a row that are none, or above the limits, after which there are no more."""


def propose_opening(
    space: Space, rule: Rule, by_hand: int, at_random: int, random: Random
) -> Iterator[Proposal]:
    """Yields nets made by hand, then random ones, also in the place of what hands have not made.

    Raises ValueError if no net is within the limits.
    """
    made = [(space.build(each.choices), each.family) for each in pick_by_hand(space, rule, by_hand)]
    yield from made
    drawn = [*draw_points(space, rule, by_hand + at_random - len(made), random)]
    if not made and not drawn:
        if not rule.derives:  # and so cannot tell the least that a net needs
            raise ValueError(
                "no net that was tried is within all limits; raise budget.arena or budget.file"
            )
        even = {name: torch.ones(group.shape) for name, group in space.groups.items()}
        drawn = [space.locate(rule(space, even))]
    known = {each.genotype() for each, _ in made}
    for each in map(space.architecture, drawn):
        if each.genotype() not in known:
            known.add(each.genotype())
            yield each, "random"


def propose_children(
    space: Space,
    rule: Rule,
    parents: Sequence[Proposal],
    known: Collection[Point],
    random: Random,
) -> Iterator[Proposal]:
    """Yields nets that differ in a few choices from the parents, of which the best come first.

    The first parent comes with a probability of 0.39, each other one 1/e^(1/2) as often as the one
    before, and the last one in the cases that are left. Half of the children are then made as large
    as the limits allow. No net comes twice, in whatever choices.
    """

    def fits(choices: Choices) -> bool:
        return upper.admits(space, space.build(choices))

    upper = rule.upper
    born = {space.architecture(point).genotype() for point in known}
    failed = 0
    while failed < PATIENCE and max(space.sizes) > 1:
        failed += 1
        parent, origin = parents[min(int(random.expovariate(0.5)), len(parents) - 1)]
        point = change_choices(space.locate(parent.choices), space.sizes, random)
        choices = space.architecture(point).choices
        if random.random() < 0.5:
            choices = space.fit_sizes(choices, fits)
        child = space.build(choices)
        if child.genotype() not in born and rule.admits(space, child):
            born.add(child.genotype())
            failed = 0
            yield child, origin.removesuffix(CHANGED) + CHANGED


def pick_by_hand(space: Space, rule: Rule, count: int) -> list[HandMade]:
    """Returns architectures made by hand that use most of a rule's limits, each another idea.

    Families take turns, so that each is among them.
    """
    families: dict[str, dict[str, tuple[float, HandMade]]] = {}
    known: set[str] = set()  # a family may have nets of another one
    upper = rule.upper
    for made in space.scale_families(lambda choices: upper.admits(space, space.build(choices))):
        built = space.build(made.choices)
        if not rule.admits(space, built):
            continue
        used, ideas = prod(rule.use(space, built)), families.setdefault(made.family, {})
        if built.genotype() not in known and (made.idea not in ideas or used > ideas[made.idea][0]):
            ideas[made.idea] = used, made
        known.add(built.genotype())
    ranked = [
        [made for _, made in sorted(ideas.values(), key=lambda one: -one[0])]
        for ideas in families.values()
    ]
    in_turn = [made for turn in zip_longest(*ranked) for made in turn if made is not None]
    return in_turn[:count]


def draw_points(space: Space, rule: Rule, count: int, random: Random) -> Iterator[Point]:
    """Yields random points that use most of a rule's limits; where walks find none, any within."""
    for place in range(count):
        found = draw_within(space, partial(rule.excess, space), random)
        if found is None:
            rest, admits = count - place, partial(rule.admits, space)
            for other in draw_architectures(space, rest, random, admits=admits):
                yield space.locate(other.choices)
            return
        yield space.locate(found.choices)


def change_choices(point: Point, sizes: Sequence[int], random: Random) -> Point:
    """Returns a point that differs in one to `MOST_CHANGES` choices, or in none by chance.

    Half of the changes go to a neighbouring option, since options are in their order.
    """
    places = [place for place, size in enumerate(sizes) if size > 1]
    changed = list(point)
    for place in random.sample(places, min(random.randint(1, MOST_CHANGES), len(places))):
        nearby = changed[place] + random.choice((-1, 1))
        near = random.random() < 0.5 and 0 <= nearby < sizes[place]
        changed[place] = nearby if near else random.randrange(sizes[place])
    return tuple(changed)
