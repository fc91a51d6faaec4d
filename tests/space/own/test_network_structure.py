"""What stands in a network."""

import pytest
import torch
from own_networks import Block, Darts, MyNet
from torch import nn

from darts_lite import Choice, InputChoice, Width
from darts_lite.space.own.network_structure import find_structure, list_dependent, show_path


def test_choices_are_named_after_their_places() -> None:
    found = find_structure(MyNet(1, 10))
    names = ["body", "body.nested", "pool", "deep", "merge", "head.conv.width"]
    assert [*found.variables] == names
    assert found.variables["deep"].options == ("1", "2", "3")
    assert found.variables["merge"].options == ("0+1", "0+2", "1+2")


def test_parts_run_under_conditions() -> None:
    found = find_structure(MyNet(1, 10))
    assert found.is_active("body.nested", {"body": "nested"})
    assert not found.is_active("body.nested", {"body": "skip"})
    assert found.modules["deep.blocks_by_place.0.conv"] == [()]
    assert found.modules["deep.blocks_by_place.2"] == [(("deep", frozenset({"3"})),)]
    assert [*list_dependent(found, ["body.nested"])] == ["body.nested", "body"]
    assert show_path("deep.blocks_by_place.2.conv") == "deep.2.conv"


def test_names_tie_choices() -> None:
    net = nn.Sequential(
        Choice({"a": nn.Identity(), "b": nn.ReLU()}, name="one"),
        Choice({"a": nn.Sigmoid(), "b": nn.ReLU()}, name="one"),
        nn.Conv2d(1, Width(4, (2, 4), name="w"), 1),
        nn.Conv2d(4, Width(4, (2, 4), name="w"), 1),
    )
    found = find_structure(net)
    assert [*found.variables] == ["one", "w"] and len(found.choices) == 2
    assert set(found.widths.values()) == {"w"} and len(found.widths) == 2
    other = nn.Sequential(net, Choice({"a": nn.Identity()}, name="one"))
    with pytest.raises(ValueError, match=r"1: the choice 'one' has the options \['a'\] here"):
        find_structure(other)


def test_paths_make_a_node() -> None:
    found = find_structure(Darts(1, 10))
    assert found.nodes["normal 0 0", "normal 0 1"] == 2
    assert len(found.variables) == 28 and len(found.nodes) == 8


def test_a_network_without_choices_is_refused() -> None:
    with pytest.raises(ValueError, match="Block has no choices to search"):
        find_structure(Block(2, 3))
    two = [InputChoice(2, k, paths=[_path(0), _path(1)]) for k in (1, 2)]
    with pytest.raises(ValueError, match="keeps 1 of them, and not 2"):
        find_structure(nn.Sequential(*two))
    with pytest.raises(ValueError, match="0: the channels of LayerNorm cannot be chosen"):
        find_structure(nn.Sequential(nn.LayerNorm(Width(4, (2, 4)))))


def _path(place: int) -> Choice:
    return Choice({"a": nn.Identity(), "b": nn.ReLU()}, name=f"p{place}")


def test_torch_copies_keep_their_structure() -> None:
    import copy

    net = MyNet(1, 10)
    copied = copy.deepcopy(net)
    assert find_structure(copied).widths == find_structure(net).widths
    assert torch.equal(copied.stem.weight, net.stem.weight)
