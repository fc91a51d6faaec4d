"""Finds the best choices within bounds on additive costs, exactly.

The options are merged set after set. An option is dropped if another one beats it in score and all
costs, or if no choice for the remaining sets can keep it within the bounds.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import islice, product
from typing import NamedTuple

from torch import Tensor

from darts_lite.space.cost_tables import Bound, CostTable
from darts_lite.space.groups import Choices, Group, Kept


class Option(NamedTuple):
    """A possible choice for some sets: the rows that they keep."""

    score: float  # sum of the logarithms of the kept shares
    costs: tuple[float, ...]  # one for each bound
    sets: Kept

    def join(self, other: "Option") -> "Option":
        costs = tuple(a + b for a, b in zip(self.costs, other.costs, strict=True))
        return Option(self.score + other.score, costs, self.sets + other.sets)


def list_options(group: Group, shares: Tensor, costs: Sequence[Tensor]) -> list[Option]:
    """Returns the options of one set that no other option beats in score and costs.

    The set's shares, and its costs for each bound, are ``(rows, options)``.
    """
    options = []
    for rows in group.kept_rows(len(shares)):
        # All options of each kept row, then every combination of one option per row.
        choices = [[(row, position) for position in group.selectable] for row in rows]
        for chosen in product(*choices):
            score = sum(math.log(max(float(shares[place]), 1e-30)) for place in chosen)
            paid = tuple(sum(float(cost[place]) for place in chosen) for cost in costs)
            kept = tuple((group.options[position], row) for row, position in chosen)
            options.append(Option(score, paid, (kept,)))
    return _drop_dominated(options)


def _drop_dominated(options: Sequence[Option]) -> list[Option]:
    """Returns the Pareto front of options with at most two costs; keeps one of equal options."""
    best: list[Option] = []
    # Costs of the options so far that are not dominated: as the first rises, the second falls.
    stairs: list[tuple[float, float]] = []
    for option in sorted(options, key=lambda option: (-option.score, option.costs)):
        first, second = (*option.costs, 0.0, 0.0)[:2]
        step = bisect_right(stairs, (first, math.inf))
        # All earlier options score at least as much: this one must be cheaper in one cost. Among
        # those whose first cost is no higher, the last has the lowest second cost.
        if step and stairs[step - 1][1] <= second:
            continue
        best.append(option)
        # The new option replaces the following steps, whose both costs are no lower.
        end = step
        while end < len(stairs) and stairs[end][1] >= second:
            end += 1
        stairs[step:end] = [(first, second)]
    return best


def sum_least_costs(sets: Sequence[Sequence[Option]]) -> list[float]:
    """Returns a lower bound of each cost over all sets."""
    least = [
        [min(costs) for costs in zip(*(option.costs for option in options), strict=True)]
        for options in sets
    ]
    return [sum(costs) for costs in zip(*least, strict=True)]


def find_best(sets: Sequence[Sequence[Option]], budgets: Sequence[float]) -> Option | None:
    """Returns the choice of an option for each set with the largest score within the budgets.

    A budget is the largest sum of a cost over all sets. Returns None if all choices exceed one.
    """
    chosen = [Option(0.0, (0.0,) * len(budgets), ())]
    for done, options in enumerate(sets, start=1):
        # The remaining sets cost at least `needed`, whatever they keep.
        needed = sum_least_costs(sets[done:]) or [0.0] * len(budgets)
        merged = [first.join(second) for first, second in product(chosen, options)]
        fitting = [
            option
            for option in merged
            if all(
                cost + rest <= budget
                for cost, rest, budget in zip(option.costs, needed, budgets, strict=True)
            )
        ]
        chosen = _drop_dominated(fitting)
    return max(chosen, key=lambda option: option.score, default=None)


def choose_within(
    groups: Mapping[str, Group], shares: Mapping[str, Tensor], bounds: Sequence[Bound]
) -> tuple[Choices | None, list[float]]:
    """Returns the choices with the largest product of shares within at most two bounds.

    Args:
        groups: Name -> group.
        shares: Name of a group -> ``(rows, options)``.
        bounds: Their costs are tables of these groups.

    Returns:
        The choices, or None if all exceed a bound; and for each bound the lowest cost that the
        choices can have, negated where the bound is a lower one.

    Raises:
        ValueError: if there are more than two bounds.
    """
    if len(bounds) > 2:
        raise ValueError(
            f"a budget of cells takes two limits at most, got {len(bounds)}, of which a preset may "
            "set some; leave one out, as by --model.derivation.least_parameters null"
        )
    tables = [bound.costs for bound in bounds if isinstance(bound.costs, CostTable)]
    # What all nets share costs the same in each: the sets share the rest of the budget.
    rests = [bound.sign * table.rest for bound, table in zip(bounds, tables, strict=True)]
    budgets = [bound.sign * bound.value - rest for bound, rest in zip(bounds, rests, strict=True)]
    sets = []  # the options of each set of each group
    for name, rows in shares.items():
        costs = [  # bound -> set -> (rows, options)
            groups[name].split(bound.sign * table.options[name])
            for bound, table in zip(bounds, tables, strict=True)
        ]
        sets += [
            list_options(groups[name], of_set, [cost[place] for cost in costs])
            for place, of_set in enumerate(groups[name].split(rows.detach().cpu()))
        ]
    least = [rest + cost for rest, cost in zip(rests, sum_least_costs(sets), strict=True)]
    if (best := find_best(sets, budgets)) is None:
        return None, least
    remaining = iter(best.sets)
    return {name: tuple(islice(remaining, len(groups[name].sets))) for name in shares}, least
