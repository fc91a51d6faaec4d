"""Finds the best choices of a network within bounds, exactly.

Choices whose costs depend on each other are tried together; the others are merged one after another
as in `darts_lite.space.pareto`, with any number of bounds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from darts_lite.space.cost_tables import Bound
from darts_lite.space.groups import Choices, Group
from darts_lite.space.own.part_costs import HasGroups, PartCosts

MOST_WAYS = 200_000
"""Largest number of ways to choose what depends on each other, and of choices that are merged."""
MOST_BUILT = 2_000
"""Largest number of networks that are built to know a cost that is no sum."""


class Set(NamedTuple):
    """A set of a group: what it may keep.

    Attributes:
        group: Name of the group.
        names: Names of its choices.
        options: For each way to keep some, the kept rows with their options.
        scores: Sums of the logarithms of the kept shares ``(ways,)``.
        places: Name of a choice -> its place in the tables of costs, for each way ``(ways,)``.
    """

    group: str
    names: tuple[str, ...]
    options: list[tuple[tuple[str, int], ...]]
    scores: np.ndarray
    places: dict[str, np.ndarray]


@dataclass
class Ways:
    """Ways to choose of some sets: scores ``(ways,)``, costs ``(ways, bounds)`` and the options."""

    scores: np.ndarray
    costs: np.ndarray
    chosen: np.ndarray  # (ways, sets): the place in `Set.options`
    sets: list[int]

    def keep(self, which: np.ndarray) -> "Ways":
        return Ways(self.scores[which], self.costs[which], self.chosen[which], self.sets)


def choose_options(
    space: HasGroups, shares: Mapping[str, Tensor], bounds: Sequence[Bound]
) -> tuple[Choices | None, list[float]]:
    """Returns the choices with the largest product of shares within bounds.

    Returns:
        The choices, or None if all exceed a bound; and for each bound the lowest cost that the
        choices can have, negated where the bound is a lower one; nan where it is not known.

    Raises:
        ValueError: if too many choices depend on each other, or too many networks would have to be
            built.
    """
    summed = [bound for bound in bounds if isinstance(bound.costs, PartCosts)]
    built = [bound for bound in bounds if not isinstance(bound.costs, PartCosts)]
    tables = [bound.costs for bound in summed if isinstance(bound.costs, PartCosts)]
    sets = [*_list_sets(space.groups, shares)]
    groups = [_try_together(sets, each, summed, tables) for each in _join_sets(sets, tables)]
    rests = np.array([b.sign * t.rest for b, t in zip(summed, tables, strict=True)])
    lowest = rests + sum(ways.costs.min(axis=0) for ways in groups)
    least = dict(zip(map(id, summed), lowest.tolist(), strict=True))
    limits = np.array([bound.sign * bound.value for bound in summed]) - rests
    ways = _merge(groups, limits, prune=not built)
    order = np.argsort(-ways.scores, kind="stable")
    found = None
    for count, way in enumerate(order):
        if count >= MOST_BUILT:
            raise ValueError(
                f"the {MOST_BUILT} most likely nets are above the limits that only building tells; "
                "raise them, or leave one out"
            )
        choices = _read_choices(space.groups, sets, ways, int(way))
        if all(bound.admits(_Built(space, choices)) for bound in built):
            found = choices
            break
    return found, [least.get(id(bound), math.nan) for bound in bounds]


class _Built:
    """Choices as an architecture, for costs that only building tells."""

    def __init__(self, space: HasGroups, choices: Choices) -> None:
        self.space, self.choices = space, choices


def _list_sets(groups: Mapping[str, Group], shares: Mapping[str, Tensor]) -> Any:
    for name, group in groups.items():
        logs = shares[name].detach().cpu().double().clamp_min(1e-30).log()
        for of_set, names in zip(group.split(logs), group.row_sets, strict=True):
            options = [
                tuple(zip((group.options[place] for place in chosen), kept, strict=True))
                for kept in group.kept_rows(len(names))
                for chosen in product(group.selectable, repeat=len(kept))
            ]
            places = {
                other: np.full(len(options), len(group.options)) for other in names
            }  # beyond all options where it is not kept
            scores = np.zeros(len(options))
            for way, kept_rows in enumerate(options):
                for option, row in kept_rows:
                    place = group.options.index(option)
                    places[names[row]][way] = place
                    scores[way] += float(of_set[row, place])
            yield Set(name, names, options, scores, places)


def _join_sets(sets: Sequence[Set], tables: Sequence[PartCosts]) -> list[list[int]]:
    """Returns which sets depend on each other: all that have a part in common."""
    of_name = {name: place for place, one in enumerate(sets) for name in one.names}
    joined = [{place} for place in range(len(sets))]
    for table in tables:
        for names in table.parts:
            together = {of_name[name] for name in names}
            meeting = [each for each in joined if each & together]
            joined = [each for each in joined if not each & together]
            joined.append(set().union(*meeting))
    return [sorted(each) for each in joined]


def _try_together(
    sets: Sequence[Set], which: Sequence[int], bounds: Sequence[Bound], tables: Sequence[PartCosts]
) -> Ways:
    """Returns all ways to choose of some sets, with their costs."""
    sizes = tuple(len(sets[place].options) for place in which)
    if math.prod(sizes) > MOST_WAYS:
        names = [name for place in which for name in sets[place].names]
        raise ValueError(
            f"the costs of {', '.join(names[:6])}{', ...' * (len(names) > 6)} depend on each other "
            f"in {math.prod(sizes):,} ways, and a budget takes {MOST_WAYS:,}; tie some of them"
        )
    axes = dict(zip(which, range(len(which)), strict=True))

    def spread(values: np.ndarray, place: int) -> np.ndarray:
        return values.reshape([-1 if axes[place] == axis else 1 for axis in range(len(which))])

    scores = sum(spread(sets[place].scores, place) for place in which)
    of_name = {name: place for place in which for name in sets[place].names}
    costs = np.zeros((*sizes, len(bounds)))
    for number, (bound, table) in enumerate(zip(bounds, tables, strict=True)):
        for of_part, values in table.parts.items():
            if of_part[0] in of_name:
                at = [spread(sets[of_name[n]].places[n], of_name[n]) for n in of_part]
                costs[..., number] += bound.sign * values.numpy()[tuple(at)]
    chosen = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1)
    count = math.prod(sizes)
    return Ways(
        np.broadcast_to(scores, sizes).reshape(count),
        costs.reshape(count, len(bounds)),
        chosen.reshape(count, len(which)),
        [*which],
    )


def _merge(groups: Sequence[Ways], limits: np.ndarray, prune: bool) -> Ways:
    """Returns the ways to choose of all sets that keep to the limits.

    With `prune` a way is left out that another one beats in score and all costs.
    """
    thin: Callable[[Ways], Ways] = _drop_beaten if prune else lambda ways: ways
    merged = Ways(np.zeros(1), np.zeros((1, len(limits))), np.zeros((1, 0), int), [])
    left = sum((ways.costs.min(axis=0) for ways in groups), start=np.zeros(len(limits)))
    for ways in groups:
        left = left - ways.costs.min(axis=0)  # of what comes later, at least
        ways = thin(ways)
        if len(merged.scores) * len(ways.scores) > 50 * MOST_WAYS:
            raise ValueError(
                "too many nets keep to these limits to compare them; leave a limit out, or tie "
                "choices to each other"
            )
        one, other = np.divmod(np.arange(len(merged.scores) * len(ways.scores)), len(ways.scores))
        costs = merged.costs[one] + ways.costs[other]
        fits = np.all(costs + left <= limits, axis=1)
        one, other = one[fits], other[fits]
        merged = thin(
            Ways(
                merged.scores[one] + ways.scores[other],
                costs[fits],
                np.concatenate([merged.chosen[one], ways.chosen[other]], axis=1),
                merged.sets + ways.sets,
            )
        )
    return merged


def _drop_beaten(ways: Ways) -> Ways:
    """Returns the ways that no other one beats in score and all costs; one of equal ones."""
    order = np.lexsort((*ways.costs.T[::-1], -ways.scores))
    kept: list[int] = []
    front = np.empty((0, ways.costs.shape[1]))
    for way in order:
        if len(front) and np.any(np.all(front <= ways.costs[way], axis=1)):
            continue
        kept.append(int(way))
        front = np.concatenate([front, ways.costs[way][None]])
    return ways.keep(np.array(kept, int))


def _read_choices(
    groups: Mapping[str, Group], sets: Sequence[Set], ways: Ways, way: int
) -> Choices:
    chosen = dict(zip(ways.sets, ways.chosen[way].tolist(), strict=True))
    result: dict[str, list[Any]] = {name: [] for name in groups}
    for place, one in enumerate(sets):
        result[one.group].append(one.options[chosen[place]])
    return {name: tuple(kept) for name, kept in result.items()}
