"""Cutting channels off is the same as not reading them."""

import pytest
from own_networks import MyNet, Unshown, Widths

from darts_lite import NetworkSpace
from darts_lite.networks.own.width_check import check_widths


def test_widths_that_all_readers_show_pass() -> None:
    for network in (MyNet, Widths):
        check_widths(NetworkSpace(network).with_data(1, 10, 28))


def test_a_reader_that_does_not_show_it_is_told() -> None:
    with pytest.raises(ValueError, match="the channels of stem.width are read by something"):
        check_widths(NetworkSpace(Unshown).with_data(1, 10, 28))
