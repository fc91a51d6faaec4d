"""Norms become part of the convolutions before them, and answers stay."""

from dataclasses import replace

import pytest
import torch
from run_helpers import some_digits
from torch import Tensor, nn

from darts_lite.export.folding import fold_norms
from darts_lite.export.litert_int8 import spare_padding
from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.nasbench201 import read_string
from darts_lite.space.cells.search_space import mnist_space, nasbench201_space
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.protocol import AnyArchitecture

RESIDUAL = replace(nasbench201_space(channels=4, cells=3), wiring="residual")
CELL = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
CHAIN = Chain(
    *(5, 6, 2),
    (
        *(Block(3, 6, residual=True), Block(5, 8, 2, expansion=2), Block(3, 8, residual=True)),
        *(Block(3, 8, residual=True, full=True), Block(5, 6, full=True)),
    ),
)
NETS: dict[str, tuple[AnyArchitecture, int]] = {
    "chain": (CHAIN, 0),
    # Behind the five pools of each of two reducing cells.
    "darts": (ARCHITECTURES["DARTS_V1"].with_skeleton(channels=4, cells=4), 2 * 5),
    "digits": (mnist_space(channels=4).first_architecture(), 1),  # behind the sum before the head
    "residual": (
        Architecture({"normal": read_string(CELL)}, {}, RESIDUAL.skeleton, RESIDUAL.name),
        1 + 3,  # and behind the average pool of each cell
    ),
}
"""Nets, and how many of their norms follow no convolution."""


def trained_like(net: Net) -> Net:
    """A net whose norms and statistics are not those it started with."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


@pytest.mark.parametrize("kind", NETS)
def test_a_folded_net_computes_the_same_with_fewer_norms(kind: str) -> None:
    torch.manual_seed(0)
    architecture, left = NETS[kind]
    net = trained_like(Net(architecture, 1, 10)).to(memory_format=torch.channels_last)
    names = list(net.state_dict())
    folded = fold_norms(net)
    images = some_digits()[0][:20].unsqueeze(1) / 255
    with torch.no_grad():
        torch.testing.assert_close(folded(images), net(images), atol=1e-5, rtol=1e-5)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == left
    assert all(weights.is_contiguous() for weights in folded.parameters())
    assert list(net.state_dict()) == names, "the net itself stays"


class Crossed(nn.Module):
    """A user's own operation, which calls the parts of a sequence in another order."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.parts = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.parts[0](self.parts[1](x))


def test_what_is_inside_of_a_users_own_module_stays() -> None:
    torch.manual_seed(0)
    own = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), Crossed(4)).eval()
    for norm in own.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean = torch.rand(4)
    images = some_digits()[0][:5].unsqueeze(1) / 255
    folded = fold_norms(own)
    assert [type(part).__name__ for part in folded] == ["Conv2d", "Crossed"]
    with torch.no_grad():
        torch.testing.assert_close(folded(images), own(images))


class Standardised(nn.Conv2d):
    """A user's own convolution, which computes with other weights than it holds."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


def make_unlike_convolutions() -> list[nn.Conv2d]:
    """Returns convolutions that no plain one can stand for, ``(B, 1, H, W)`` to two channels."""
    reflecting = nn.Conv2d(1, 2, 3, 2, 1, padding_mode="reflect")
    hooked = nn.Conv2d(1, 2, 3, 2, 1)
    hooked.register_forward_pre_hook(lambda module, given: (given[0] + 1,))
    doubled = nn.Conv2d(1, 2, 3, 2, 1)
    doubled.register_forward_hook(lambda module, given, made: 2 * made)
    return [reflecting, hooked, doubled, Standardised(1, 2, 3, 2, 1)]


@pytest.mark.parametrize("place", range(4))
def test_a_convolution_that_is_not_plain_stays(place: int) -> None:
    torch.manual_seed(0)
    unlike = make_unlike_convolutions()[place]
    own = nn.Sequential(unlike, nn.BatchNorm2d(2)).eval()
    images = 1 - some_digits()[0][:5].unsqueeze(1) / 255  # with an edge that is not 0
    with torch.no_grad():
        before = own(images)
        torch.testing.assert_close(fold_norms(own)(images), before)
        torch.testing.assert_close(spare_padding(own, images[:1])(images), before)
