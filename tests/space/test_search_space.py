"""Search spaces and skeleton settings."""

from typing import Any

import pytest

from darts_lite.networks.net import Net
from darts_lite.space.architecture import Architecture
from darts_lite.space.search_space import SearchSpace, SkeletonSettings, darts_space, mnist_space


def test_the_published_space() -> None:
    space = darts_space()
    assert len(space.candidates) == 8
    assert space.edges_per_node == (2, 3, 4, 5)
    assert space.skeleton.reduction_cells == (2, 5)
    assert space.skeleton.kinds == ("normal", "reduce")


def test_the_largest_architecture_of_the_small_space() -> None:
    space = mnist_space(channels=32)
    cell = tuple(tuple(("dw_conv_5x5", source) for source in range(1 + node)) for node in range(3))
    largest = Architecture({"normal": cell}, {}, space.skeleton)
    assert sum(p.numel() for p in Net(largest, 1, 10).parameters()) == 49_866


@pytest.mark.parametrize(
    ("cells", "expected"), [(20, (6, 13)), (8, (2, 5)), (3, (1, 2)), (1, (0,)), (2, (0, 1))]
)
def test_reductions_stand_at_one_and_two_thirds(cells: int, expected: tuple[int, ...]) -> None:
    assert SkeletonSettings(cells=cells).reduction_cells == expected


def test_kinds_are_those_that_occur() -> None:
    assert SkeletonSettings(cells=3, reductions=()).kinds == ("normal",)
    assert SkeletonSettings(cells=2, reductions=(0, 1)).kinds == ("reduce",)


def test_plain_values_make_the_same_space_again() -> None:
    for space in (darts_space(channels=4), mnist_space()):
        assert SearchSpace.of(space.to_dict()) == space
        assert SearchSpace.of(space) is space


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidates": ("none",)}, "besides 'none'"),
        ({"candidates": ()}, "besides 'none'"),
        ({"candidates": ("conv_3x3", "conv_3x3")}, "differ"),
        ({"candidates": ("conv_9x9",)}, "unknown operation 'conv_9x9'"),
        ({"nodes": 0}, "nodes must be at least 1"),
        ({"kept_edges": 3}, "kept_edges must be 1 to 2"),
        ({"channels": 0}, "channels must be"),
        ({"cells": -1}, "cells must be"),
        ({"reductions": (8,)}, "reductions name cell 8"),
        ({"stem": "huge"}, "unknown stem 'huge'"),
    ],
)
def test_bad_settings_get_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        SearchSpace(**{"candidates": ("skip_connect", "conv_3x3"), **settings})
    assert "\n" not in str(error.value)


def test_unknown_keys_are_named() -> None:
    with pytest.raises(ValueError, match=r"unknown keys \['depth'\]"):
        SearchSpace.of({"candidates": ["conv_3x3"], "depth": 3})
