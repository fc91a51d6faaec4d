"""The choices of a network as a space."""

from itertools import product
from pathlib import Path
from random import Random

import pytest
from own_networks import CHOSEN, AlongTime, Darts, Deep, MyNet

from darts_lite import NetworkSpace
from darts_lite.derivation.consensus import agreement, consensus
from darts_lite.derivation.costs import load_or_measure_costs, measure_costs
from darts_lite.networks.kinds import read_architecture, read_space
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point


def test_choices_with_the_same_options_are_a_group() -> None:
    groups = NetworkSpace(Darts).groups
    (edges,) = groups.values()
    assert edges.shape == (28, 8) and edges.kept == 2 and edges.sets == (2, 3, 4, 5, 2, 3, 4, 5)
    groups = NetworkSpace(MyNet).with_data(1, 10, 28).groups
    assert {group.rows[0]: group.mixes for group in groups.values()}["pool"] is False
    assert sum(group.mixes for group in groups.values()) == len(groups) - 1


def test_an_architecture_knows_what_was_chosen() -> None:
    space, random = NetworkSpace(MyNet).with_data(1, 10, 28), Random(1)
    for _ in range(20):
        found = space.architecture(random_point(space.sizes, random), {"algorithm": "random"})
        assert space.build(found.choices, found.found_by) == found
        assert ("body.nested" in found.chosen) == (found.chosen["body"] == "nested")
    choices = {
        name: tuple(((CHOSEN.get(row, group.options[0]), 0),) for row in group.rows)
        for name, group in space.groups.items()
    }
    assert space.build(choices).chosen == CHOSEN


def test_it_comes_back_from_plain_values() -> None:
    space = NetworkSpace(MyNet, {"channels": 3}).with_data(1, 10, 28)
    assert read_space(space.to_dict()) == space
    assert read_space(MyNet) == NetworkSpace("own_networks.MyNet")
    assert space.name == "MyNet" and hash(space) == hash(read_space(space.to_dict()))


def test_a_network_of_signals_gets_maps_of_height_1() -> None:
    space = NetworkSpace(AlongTime, axes=1).with_data(6, 4, 50)
    assert space.blank(2).shape == (2, 6, 1, 50)
    assert read_space(space.to_dict()) == space
    assert "axes" not in NetworkSpace(AlongTime).to_dict()["init_args"]
    found = space.first_architecture()
    assert found.axes == 1 and read_architecture(found.to_dict()) == found
    assert measure_costs(space, "multiply_adds", Images(6, 4, 50)).of(found) == 50 * 6 * 8 * 3 + 32
    with pytest.raises(ValueError, match="axes must be 1 for signals or 2 for images, got 3"):
        read_architecture({**found.to_dict(), "axes": 3})
    with pytest.raises(ValueError, match="axes must be 1"):
        NetworkSpace(AlongTime, axes=0)


def test_it_has_no_frame() -> None:
    space = NetworkSpace(MyNet)
    assert space.in_skeleton({"cells": None}) is space
    with pytest.raises(ValueError, match="has no cells here"):
        space.in_skeleton({"cells": 3})


def test_costs_come_back(tmp_path: Path) -> None:
    space, images = NetworkSpace(MyNet).with_data(1, 10, 28), Images(1, 10, 28)
    made = load_or_measure_costs(tmp_path / "flash.json", space, "flash", images)
    again = load_or_measure_costs(tmp_path / "flash.json", space, "flash", images)
    first = space.first_architecture()
    assert made.of(first) == again.of(first) == measure_costs(space, "flash", images).of(first)


def test_a_choice_inside_of_what_is_not_chosen_has_no_vote() -> None:
    space = NetworkSpace(Deep).with_data(1, 10, 28)
    all_nets = [space.architecture(point) for point in product(*map(range, space.sizes))]
    named = {each.genotype(): each for each in all_nets}
    found = [named[name] for name in ("body=deep body.deep=4", "body=deep body.deep=3")]
    found += [found[0], named["body=skip"], named["body=skip"]]
    common = consensus(space, [space.votes(each) for each in found], found, {})
    assert common.genotype() == "body=deep body.deep=4"  # 1 is the first, and was never chosen
    rows = [agreed for sets in agreement(space, common, found).values() for agreed in sets]
    assert sorted(rows) == [[0.4], [0.6]]
    assert agreement(space, named["body=skip"], found[3:]) == {"choice1": [[1.0]], "choice2": [[]]}
