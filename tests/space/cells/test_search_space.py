"""Search spaces and skeleton settings."""

from typing import Any

import pytest

from darts_lite.networks.kinds import read_space
from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import SearchSpace, darts_space, mnist_space


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


def test_plain_values_make_the_same_space_again() -> None:
    for space in (darts_space(channels=4), mnist_space()):
        assert read_space(space.to_dict()) == space
        assert read_space(space) is space


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
        read_space({"candidates": ["conv_3x3"], "depth": 3})
