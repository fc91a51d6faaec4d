"""Groups of choices, points and diagrams."""

from random import Random

import torch

from darts_lite.space.groups import Diagram, Group, random_point

EDGES = Group("cell", tuple("abcde"), ("none", "skip", "conv"), (2, 3), kept=2)
GATES = Group("gates", ("x", "y"), ("none", "on"), (1, 1))


def test_none_can_be_chosen_where_all_rows_are_kept() -> None:
    assert EDGES.shape == (5, 3) and EDGES.selectable == (1, 2)
    assert GATES.shape == (2, 2) and GATES.selectable == (0, 1)


def test_decisions_are_the_rows_to_keep_and_their_options() -> None:
    first, second = EDGES.decisions
    assert [len(options) for options in first] == [1, 2, 2]
    assert second[0] == ((0, 1), (0, 2), (1, 2))
    assert [list(options) for options in second[1:]] == [["skip", "conv"]] * 2
    assert [[len(options) for options in of_set] for of_set in GATES.decisions] == [[1, 2]] * 2


def test_a_split_has_views_of_the_rows_of_each_set() -> None:
    matrix = torch.zeros(EDGES.shape)
    first, second = EDGES.split(matrix)
    assert first.shape == (2, 3) and second.shape == (3, 3)
    second[0] = 1
    assert matrix[2].sum() == 3


def test_points_are_drawn_uniformly() -> None:
    random = Random(0)
    drawn = [random_point((2, 3), random) for _ in range(600)]
    counts = [drawn.count((a, b)) for a in range(2) for b in range(3)]
    assert sum(counts) == 600 and min(counts) > 70


def test_a_diagram_counts_what_comes_from_outside() -> None:
    diagram = Diagram("cell", ("c", "0"), ((("conv", 0), ("skip", 0)),), (1,), "out")
    assert diagram.inputs == 1
