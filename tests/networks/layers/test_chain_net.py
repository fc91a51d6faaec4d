"""The net of a chain."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from darts_lite.networks.layers.chain_net import build_chain, list_rows
from darts_lite.networks.layers.widest_net import pool_map
from darts_lite.networks.net import Net
from darts_lite.networks.supernet import Supernet
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.layers.layer_space import LayerSpace

CHAIN = Chain(5, 6, 2, (Block(3, 6, residual=True), Block(5, 8, 2, expansion=2)), halved=True)


def test_it_maps_images_of_any_size() -> None:
    for side, channels in ((28, 1), (33, 3)):
        net = Net(CHAIN, channels, 4).eval()
        assert net(torch.rand(2, channels, side, side)).shape == (2, 4)


def test_the_head_reads_means_of_windows_that_reach_the_margin() -> None:
    x = torch.rand(2, 3, 7, 7)
    means = pool_map(x, 3)
    torch.testing.assert_close(means[..., 1, 2], x[:, :, 2:5, 4:7].mean(dim=(2, 3)))
    torch.testing.assert_close(pool_map(x, 1)[..., 0, 0], x.mean(dim=(2, 3)))
    torch.testing.assert_close(pool_map(x, 9)[..., :7, :7], x)
    net = Net(replace(CHAIN, head=3), 1, 4).eval()
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 4)
    costs = replace(CHAIN, head=3).steps(Images(1, 4, 28))
    assert sum(step.parameters for step in costs) == sum(p.numel() for p in net.parameters())


def test_a_net_of_signals_has_kernels_along_time() -> None:
    chain = replace(CHAIN, axes=1, head=3)
    net = Net(chain, 6, 4).eval()
    for length in (1, 2, 100):
        assert net(torch.rand(2, 6, 1, length)).shape == (2, 4)
    kernels = {m.kernel_size for m in net.modules() if isinstance(m, nn.Conv2d)}
    assert kernels == {(1, 1), (1, 3), (1, 5)}
    x = torch.rand(2, 3, 1, 7)
    means = pool_map(x, 3, axes=1)
    assert means.shape == (2, 3, 1, 3)
    torch.testing.assert_close(means[..., 0, 1], x[..., 0, 2:5].mean(dim=2))
    assert pool_map(x, 9, axes=1).shape == (2, 3, 1, 9)


def test_a_residual_block_adds_what_enters() -> None:
    net = build_chain(CHAIN, 1, 4, False).eval()
    block = net.blocks[0]
    x = torch.rand(2, 6, 7, 7)
    plain = block.pointwise(block.depthwise(x))  # type: ignore[operator]
    torch.testing.assert_close(block(x), (x + plain).relu())


def test_a_full_block_is_one_convolution() -> None:
    block = replace(CHAIN, blocks=(Block(3, 6, residual=True, full=True),))
    (made,) = build_chain(block, 1, 4, False).eval().blocks
    x = torch.rand(2, 6, 7, 7)
    assert [name for name, _ in made.named_children()] == ["full"]
    torch.testing.assert_close(made(x), (x + made.full(x)).relu())  # type: ignore[operator]


def test_there_is_no_second_head() -> None:
    with pytest.raises(ValueError, match="set auxiliary_weight to 0"):
        Net(CHAIN, 1, 4, auxiliary=True)


def test_blocks_that_are_off_have_no_row() -> None:
    space = LayerSpace(stages=(3, 1), links=("off", "plain"), placements=("1",))
    places = {name: [0] * len(group.rows) for name, group in space.groups.items()}
    places["link"] = [0, 1]
    assert list_rows(space, space.name_options(places)) == [0, 2, 3]


def test_a_chain_from_elsewhere_inherits_nothing() -> None:
    space = LayerSpace(stages=(1,), placements=("stem",))
    other = LayerSpace(stages=(1,), placements=("stem", "1")).first_architecture()
    Net(other, 1, 10).inherit(Supernet(space, 1, 10))  # it has the same first choices
    with pytest.raises((ValueError, KeyError)):
        Net(CHAIN, 1, 10).inherit(Supernet(space, 1, 10))
