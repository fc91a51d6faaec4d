"""Drawings of choices in networks of users."""

from dataclasses import replace

from figure_helpers import check_room, texts
from own_networks import Darts, MyNet

from darts_lite import NetworkSpace
from darts_lite.derivation.costs import count_pass
from darts_lite.plots.architectures import draw_architecture
from darts_lite.space.cost_tables import Images
from darts_lite.space.own.chosen_network import ChosenNetwork

DIGITS = Images(1, 10, 28)


def found(network: type = MyNet) -> ChosenNetwork:
    net = NetworkSpace(network).with_data(*DIGITS).first_architecture()
    assert isinstance(net, ChosenNetwork)
    return net


def test_each_option_tells_what_the_net_would_cost() -> None:
    net = found()
    figure = draw_architecture(net, DIGITS, ["mine"])
    check_room(figure)
    said = texts(figure)
    assert {"body", "conv3", "nested", "skip", "deep", "1", "2", "3", "0+1"} <= set(said)
    costs = count_pass(net, DIGITS)
    assert said.count(f"{costs.parameters}, {costs.multiply_adds:,}") >= len(net.chosen)
    assert f"{costs.parameters} parameters" in said[0]


def test_without_the_module_or_with_many_options_costs_are_left_out() -> None:
    unknown = replace(found(), network="not_imported.Net")
    for net, images in ((unknown, DIGITS), (found(), None), (found(Darts), DIGITS)):
        said = texts(draw_architecture(net, images, ["mine"]))
        assert not any("below each option" in text for text in said)
        assert set(net.chosen) <= set(said)
