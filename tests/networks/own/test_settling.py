"""The chosen parts alone."""

from typing import Any

import torch
from own_networks import CHOSEN, ByHand, MyNet, Widths, with_options

from darts_lite.networks.own.settling import settle
from darts_lite.space.own.choices import AnyChoice


def test_the_state_is_as_if_written_by_hand() -> None:
    net, by_hand = settle(MyNet(1, 10), CHOSEN).eval(), ByHand(1, 10).eval()
    by_hand.load_state_dict(net.state_dict())
    images = torch.randn(2, 1, 28, 28)
    assert torch.allclose(net(images), by_hand(images), atol=1e-6)
    assert not any(isinstance(module, AnyChoice) for module in net.modules())


def test_choices_inside_choices_are_settled() -> None:
    net: Any = settle(
        MyNet(1, 10), with_options(CHOSEN, **{"body": "nested", "body.nested": "three"})
    )
    assert net.body.conv.kernel_size == (3, 3)


def test_layers_are_cut_to_their_first_channels() -> None:
    whole = Widths(1, 10, 16)
    weight = whole.grow.weight.clone()
    last = whole.last.weight.clone().view(10, 10, 16)
    net: Any = settle(whole, {"stem.width": "3", "other": "1"})
    assert net.depthwise.weight.shape == (3, 1, 3, 3) and net.depthwise.groups == 3
    assert torch.equal(net.grow.weight, weight[:3, :1])
    assert torch.equal(net.last.weight, last[:, [0, 1, 2, 6]].flatten(1))
    assert type(net.last.in_features) is int and net.last.in_features == 64
    assert net(torch.randn(2, 1, 16, 16)).shape == (2, 10)


def test_first_weights_are_as_large_as_those_of_narrow_layers() -> None:
    whole = Widths(1, 10, 16)
    weight = whole.grow.weight.clone()
    net: Any = settle(whole, {"stem.width": "3", "other": "1"}, scale=True)
    assert torch.allclose(net.grow.weight, 3**0.5 * weight[:3, :1])
