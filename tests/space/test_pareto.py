"""The exact choice within limits, against trying everything."""

from itertools import product

import pytest
import torch

from darts_lite.space.groups import Group
from darts_lite.space.pareto import Option, find_best, list_options, sum_least_costs

OPTIONS = ("none", "skip_connect", "dw_conv_3x3")
GROUP = Group("tried", tuple("abcde"), OPTIONS, (2, 3), kept=2)


def nodes_of(seed: int, limits: int) -> list[list[Option]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        list_options(
            GROUP,
            torch.rand(edges, 3, generator=generator),
            [torch.rand(edges, 3, generator=generator) for _ in range(limits)],
        )
        for edges in (2, 3, 2, 3)
    ]


def everything(nodes: list[list[Option]]) -> list[Option]:
    empty = Option(0.0, (0.0,) * len(nodes[0][0].costs), ())
    tried = []
    for choice in product(*nodes):
        all_of_it = empty
        for option in choice:
            all_of_it = all_of_it.join(option)
        tried.append(all_of_it)
    return tried


@pytest.mark.parametrize("limits", [0, 1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_no_choice_within_the_budgets_is_better(seed: int, limits: int) -> None:
    nodes = nodes_of(seed, limits)
    tried = everything(nodes)
    least = sum_least_costs(nodes)
    assert least == pytest.approx([min(o.costs[i] for o in tried) for i in range(limits)])
    for slack in (1.001, 1.2, 1.5, 10.0):
        budgets = [slack * cost for cost in least]
        fitting = [
            option
            for option in tried
            if all(cost <= limit for cost, limit in zip(option.costs, budgets, strict=True))
        ]
        best = find_best(nodes, budgets)
        if not fitting:  # no choice is the cheapest in both
            assert best is None
            continue
        assert best is not None and best in fitting
        assert best.score == pytest.approx(max(option.score for option in fitting))
    if limits:
        assert find_best(nodes, [0.9 * cost for cost in least]) is None


def test_a_node_keeps_two_edges_and_never_none() -> None:
    options = list_options(GROUP, torch.full((3, 3), 1 / 3), [])
    assert [len(option.sets) for option in options] == [1]
    (node,) = options[0].sets
    assert len(node) == 2 and all(name != "none" for name, _ in node)
