"""The space of chains as any other space."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from darts_lite.derivation.costs import load_or_measure_costs, measure_costs
from darts_lite.networks.kinds import read_space
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point
from darts_lite.space.layers.layer_space import LayerSpace


def test_its_groups_have_a_row_for_each_choice() -> None:
    shapes = {name: group.shape for name, group in LayerSpace(stages=(2, 1, 1)).groups.items()}
    assert shapes["kernel"] == (4, 3) and shapes["link"] == (1, 3)
    assert shapes["placement"] == (1, 16) and shapes["width"] == (3, 17)
    assert "link" not in LayerSpace(stages=(1, 1), placements=("stem",)).groups


def test_a_chain_knows_what_was_chosen() -> None:
    space, random = LayerSpace(), Random(1)
    for _ in range(20):
        found = space.architecture(random_point(space.sizes, random), {"algorithm": "random"})
        assert space.build(found.choices, found.found_by) == found


def test_it_comes_back_from_plain_values() -> None:
    space = LayerSpace(stages=(2, 2), widths=(4, 8), placements=("stem", "1"))
    assert read_space(space.to_dict()) == space
    assert "axes" not in space.to_dict()["init_args"]  # as in files of before
    along = replace(space, axes=1)
    assert read_space(along.to_dict()) == along != space


def test_it_has_no_other_frame() -> None:
    space = LayerSpace()
    assert space.in_skeleton({}) is space
    with pytest.raises(ValueError, match="has no cells beside what is chosen"):
        space.in_skeleton({"cells": 3})


@pytest.mark.parametrize("axes", [1, 2])
def test_costs_come_back(axes: int, tmp_path: Path) -> None:
    space, images = LayerSpace(axes=axes), Images(1, 10, 28)
    made = load_or_measure_costs(tmp_path / "flash.json", space, "flash", images)
    assert load_or_measure_costs(tmp_path / "flash.json", space, "flash", images) == made
    assert made == measure_costs(space, "flash", images)
