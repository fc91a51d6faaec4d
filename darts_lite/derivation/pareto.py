"""The best choice for all nodes within limits, found exactly.

Possible choices are merged node after node, and those dropped that another one beats in everything
or that no choice for the nodes to come can keep within the limits.
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
    """What some nodes may keep."""

    score: float  # sum of the logarithms of shares
    costs: tuple[float, ...]
    nodes: Cell

    def joined(self, other: "Option") -> "Option":
        """Both."""
        costs = tuple(a + b for a, b in zip(self.costs, other.costs, strict=True))
        return Option(self.score + other.score, costs, self.nodes + other.nodes)


def options_of_node(space: SearchSpace, shares: Tensor, costs: Sequence[Tensor]) -> list[Option]:
    """What one node may keep, without what another choice beats in score and costs.

    Args:
        space: The space that was searched.
        shares: Of the node, ``(edges, candidates)``.
        costs: For each limit, what each edge and candidate takes of it, ``(edges, candidates)``.
    """
    kept = len(shares) if space.kept_edges is None else space.kept_edges
    options = []
    for sources in combinations(range(len(shares)), kept):
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
    return _pareto(options)


def _pareto(options: Sequence[Option]) -> list[Option]:
    """Those that no other one beats: none has a better score at no higher costs, two at most."""
    best: list[Option] = []
    stairs: list[tuple[float, float]] = []  # their costs, the second falling as the first rises
    for option in sorted(options, key=lambda option: (-option.score, option.costs)):
        first, second = (*option.costs, 0.0, 0.0)[:2]
        step = bisect_right(stairs, (first, math.inf))
        if step and stairs[step - 1][1] <= second:
            continue
        best.append(option)
        end = step
        while end < len(stairs) and stairs[end][1] >= second:
            end += 1
        stairs[step:end] = [(first, second)]
    return best


def least_costs(nodes: Sequence[Sequence[Option]]) -> list[float]:
    """What the nodes take of each limit at least, if only that one counts."""
    least = [
        [min(costs) for costs in zip(*(option.costs for option in options), strict=True)]
        for options in nodes
    ]
    return [sum(costs) for costs in zip(*least, strict=True)]


def best_within(nodes: Sequence[Sequence[Option]], budgets: Sequence[float]) -> Option | None:
    """The choice of the largest score whose costs stay within the budgets; None if all exceed them.

    Args:
        nodes: What each node may keep.
        budgets: The most that all nodes together may take of each limit.
    """
    chosen = [Option(0.0, (0.0,) * len(budgets), ())]
    for done, options in enumerate(nodes, start=1):
        needed = least_costs(nodes[done:]) or [0.0] * len(budgets)
        merged = [first.joined(second) for first, second in product(chosen, options)]
        fitting = [
            option
            for option in merged
            if all(
                cost + rest <= budget
                for cost, rest, budget in zip(option.costs, needed, budgets, strict=True)
            )
        ]
        chosen = _pareto(fitting)
    return max(chosen, key=lambda option: option.score, default=None)
