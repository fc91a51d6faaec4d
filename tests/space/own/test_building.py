"""Networks by their names."""

import pytest
import torch
from own_networks import MyNet, Widths
from torch import nn

from darts_lite.space.own.building import (
    Plan,
    build_network,
    find_network,
    find_own_module,
    name_network,
    outline_network,
)


def test_a_class_is_found_by_its_name() -> None:
    assert name_network(MyNet) == "own_networks.MyNet"
    assert find_network("own_networks.MyNet") is MyNet

    class Local(nn.Module):
        pass

    with pytest.raises(ValueError, match="define the network at the top of a module"):
        name_network(Local)


@pytest.mark.parametrize(
    "path", ["os.system", "not_imported.Net", "own_networks.CHOSEN", "MyNet", ""]
)
def test_nothing_else_is(path: str) -> None:
    with pytest.raises(ValueError, match=r"network: .* name a subclass of torch.nn"):
        find_network(path)


def test_its_module_is_known() -> None:
    assert find_own_module(MyNet) == find_own_module("own_networks.MyNet") == "own_networks"
    assert find_own_module("darts_lite.mnist_space") is find_own_module(None) is None


def test_data_reach_the_arguments_by_name() -> None:
    data = {"in_channels": 3, "num_classes": 5, "image_size": 16}
    net = build_network(Plan("own_networks.Widths", {}, data))
    assert isinstance(net, Widths) and net.last.out_features == 5
    plan = Plan("own_networks.MyNet", {"channels": 7}, data)
    before = torch.get_rng_state()
    weight = outline_network(plan).get_parameter("stem.weight")
    assert weight.shape == (7, 3, 3, 3) and weight.is_meta
    assert torch.equal(before, torch.get_rng_state())


def test_what_cannot_be_built_is_told() -> None:
    data = {"in_channels": 3, "num_classes": 5, "image_size": None}
    with pytest.raises(ValueError, match="needs image_size, which is not known"):
        build_network(Plan("own_networks.Widths", {}, data))
    with pytest.raises(ValueError, match="cannot be built with .*TypeError"):
        build_network(Plan("own_networks.MyNet", {"colour": 7}, data))
