"""Finds the best choice for all nodes within limits, exactly.

The options are merged node after node. An option is dropped if another one beats it in score and
all costs, or if no choice for the remaining nodes can keep it within the limits.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import combinations, product
from typing import NamedTuple

from torch import Tensor

from darts_lite.space.genotype import Cell, Edge
from darts_lite.space.search_space import SearchSpace


class Option(NamedTuple):
    """A possible choice for some nodes: the edges that they keep."""

    score: float  # sum of the logarithms of the kept shares
    costs: tuple[float, ...]  # one for each limit
    nodes: Cell

    def join(self, other: "Option") -> "Option":
        costs = tuple(a + b for a, b in zip(self.costs, other.costs, strict=True))
        return Option(self.score + other.score, costs, self.nodes + other.nodes)


def list_options(space: SearchSpace, shares: Tensor, costs: Sequence[Tensor]) -> list[Option]:
    """Returns the options of one node that no other option beats in score and costs.

    The node's shares, and its costs for each limit, are ``(edges, candidates)``.
    """
    kept = len(shares) if space.kept_edges is None else space.kept_edges
    options = []
    for sources in combinations(range(len(shares)), kept):
        # All candidates of each kept edge, then every combination of one candidate per edge.
        choices = [
            [
                (name, source, position)
                for position, name in enumerate(space.candidates)
                if name != "none" or space.kept_edges is None
            ]
            for source in sources
        ]
        for edges in product(*choices):
            score = sum(math.log(max(float(shares[s, p]), 1e-30)) for _, s, p in edges)
            paid = tuple(sum(float(cost[s, p]) for _, s, p in edges) for cost in costs)
            node: tuple[Edge, ...] = tuple((name, source) for name, source, _ in edges)
            options.append(Option(score, paid, (node,)))
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


def sum_least_costs(nodes: Sequence[Sequence[Option]]) -> list[float]:
    """Returns a lower bound of each cost over all nodes."""
    least = [
        [min(costs) for costs in zip(*(option.costs for option in options), strict=True)]
        for options in nodes
    ]
    return [sum(costs) for costs in zip(*least, strict=True)]


def find_best(nodes: Sequence[Sequence[Option]], budgets: Sequence[float]) -> Option | None:
    """Returns the choice of an option for each node with the largest score within the budgets.

    A budget is the largest sum of a cost over all nodes. Returns None if all choices exceed one.
    """
    chosen = [Option(0.0, (0.0,) * len(budgets), ())]
    for done, options in enumerate(nodes, start=1):
        # The remaining nodes cost at least `needed`, whatever they keep.
        needed = sum_least_costs(nodes[done:]) or [0.0] * len(budgets)
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
