"""Channels that are not read."""

import torch
from own_networks import Widths
from torch import nn

from darts_lite import Width
from darts_lite.space.own.masks import give_masks, mask_readers, reads_width


def test_a_masked_layer_reads_the_first_channels_alone() -> None:
    width = Width(4, (2, 4))
    layer, linear = nn.Conv2d(width, 3, 3), nn.Linear(width * 2, 3)
    net = nn.ModuleList([layer, linear, nn.BatchNorm2d(width), nn.Conv2d(1, width, 1)])
    assert [reads_width(module) for module in net] == [True, True, False, False]
    readers = mask_readers(net)
    source = width.parts[0].source
    assert source is not None
    x, flat = torch.randn(2, 4, 5, 5), torch.randn(2, 8)
    give_masks(readers, {source: torch.tensor([1.0, 0.0])})
    cut = nn.functional.conv2d(x[:, :2], layer.weight[:, :2], layer.bias)
    assert torch.allclose(layer(x), cut, atol=1e-6)
    cut = nn.functional.linear(flat[:, :4], linear.weight[:, :4], linear.bias)
    assert torch.allclose(linear(flat), cut, atol=1e-6)
    assert torch.equal(linear(input=flat), linear(flat))
    give_masks(readers, {})
    assert torch.equal(layer(x), nn.functional.conv2d(x, layer.weight, layer.bias))


def test_gradients_reach_the_mixing_weights() -> None:
    net = Widths(1, 10, 16)
    readers = mask_readers(net)
    sources = {
        p.source
        for m in net.modules()
        for w in vars(m).values()
        if isinstance(w, Width)
        for p in w.parts
    }
    rows = {s: torch.full((len(s.options),), 0.5, requires_grad=True) for s in sources if s}
    give_masks(readers, rows)
    net(torch.randn(2, 1, 16, 16)).square().sum().backward()
    assert all(row.grad is not None and row.grad.abs().min() > 0 for row in rows.values())


def test_a_channel_behind_a_depthwise_convolution_counts_once() -> None:
    width = Width(4, (2, 4))
    first, deep = nn.Conv2d(3, width, 1), nn.Conv2d(width, width, 1, groups=width)
    net = nn.Sequential(first, deep, nn.Flatten(), nn.Linear(width, 3))
    for weight in net.parameters():
        nn.init.constant_(weight, 1.0)
    x, source = torch.ones(1, 3, 1, 1), width.parts[0].source
    assert source is not None
    readers = mask_readers(net)
    logits = []
    for row in ([1.0, 0.0], [0.0, 1.0], [0.7, 0.3]):
        give_masks(readers, {source: torch.tensor(row)})
        logits.append(net(x))
    torch.testing.assert_close(logits[2], 0.7 * logits[0] + 0.3 * logits[1])
