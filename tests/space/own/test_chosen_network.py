"""The file of a network's choices."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from own_networks import Darts, MyNet

from darts_lite import Net, NetworkSpace
from darts_lite.networks.kinds import build_architecture, read_architecture
from darts_lite.space.groups import random_point
from darts_lite.space.own.chosen_network import ChosenNetwork


def some(network: Any = MyNet, seed: int = 0) -> ChosenNetwork:
    space = NetworkSpace(network).with_data(1, 10, 28)
    found = space.architecture(random_point(space.sizes, Random(seed)), {"algorithm": "random"})
    assert isinstance(found, ChosenNetwork)
    return found


@pytest.mark.parametrize("network", [MyNet, Darts])
def test_it_comes_back(network: Any, tmp_path: Path) -> None:
    for seed in range(2):
        found = some(network, seed)
        found.save(tmp_path / "found.json")
        assert read_architecture(tmp_path / "found.json") == found
        assert build_architecture(json.loads(json.dumps(found.to_dict()))) == found


def test_it_tells_its_choices() -> None:
    found = some()
    content = found.to_dict()
    assert content["choices"]["deep"] == int(found.chosen["deep"])
    assert content["network"] == "own_networks.MyNet"
    assert found.genotype().startswith("body=") and "5 choices" in f"{found.size} " or found.size
    (diagram,) = found.diagrams.values()
    assert diagram.states[1:] == tuple(found.chosen)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("choices", {"body": "conv9"}, "choices.body: 'conv9' is not one of"),
        ("choices", {"nose": "big"}, "there is no choice 'nose'"),
        ("choices", [], "choices: must be a dict"),
        ("groups", {"a": {}}, "groups.a: must have the keys"),
        ("image_size", 0, "image_size: must be an integer"),
        ("network", 3, "network: must be a str"),
        ("settings", None, "settings: must be a dict"),
    ],
)
def test_other_content_is_refused(key: str, value: Any, told: str) -> None:
    content = some().to_dict() | {key: value}
    with pytest.raises(ValueError, match=told):
        build_architecture(content)
    with pytest.raises(ValueError, match=f"{key} is missing"):
        build_architecture({name: one for name, one in content.items() if name != key})


def test_a_missing_choice_is_named_where_the_net_is_built() -> None:
    content = some().to_dict()
    del content["choices"]["deep"]
    found = build_architecture(content)
    with pytest.raises(ValueError, match="choices: 'deep' is missing; choose from 1, 2, 3"):
        Net(found, 1, 10)


def test_a_node_keeps_its_number() -> None:
    content = some(Darts).to_dict()
    content["choices"] = dict([*content["choices"].items()][1:])
    with pytest.raises(ValueError, match="2 of .* are kept, got 1"):
        build_architecture(content)
