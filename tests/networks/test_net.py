"""The discrete network."""

import pytest
import torch

from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture


def test_published_parameter_counts() -> None:
    architecture = ARCHITECTURES["DARTS_V2"].with_skeleton(channels=36, cells=20)
    plain = Net(architecture, in_channels=3, num_classes=10)
    assert sum(p.numel() for p in plain.parameters()) == 3_349_342
    auxiliary = Net(architecture, in_channels=3, num_classes=10, auxiliary=True)
    assert sum(p.numel() for p in auxiliary.parameters()) == 3_825_768


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("size", [(32, 32), (27, 29)])
def test_published_architectures_run_on_any_size(name: str, size: tuple[int, int]) -> None:
    net = Net(ARCHITECTURES[name].with_skeleton(channels=4, cells=4), 1, 10, auxiliary=True)
    logits, auxiliary = net.forward_auxiliary(torch.randn(3, 1, *size))
    assert logits.shape == (3, 10)
    assert auxiliary is not None
    assert auxiliary.shape == (3, 10)
    logits.sum().backward()
    assert all(p.grad is not None for n, p in net.named_parameters() if "auxiliary_head" not in n)


NASBENCH201 = {
    "index 6111": (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
        "|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
        1_073_466,
    ),
    "3x3 everywhere": (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
        "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        1_531_546,
    ),
    "skips everywhere": (
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+"
        "|skip_connect~0|skip_connect~1|skip_connect~2|",
        73_306,
    ),
    "nothing": ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306),
    "pools and 1x1": (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|avg_pool_3x3~1|skip_connect~2|",
        73_306 + 5 * (16 * 16 + 32 * 32 + 64 * 64) + 5 * 2 * (16 + 32 + 64),
    ),
}


@pytest.mark.parametrize("name", NASBENCH201)
def test_the_parameters_of_nasbench201(name: str) -> None:
    text, expected = NASBENCH201[name]
    net = Net(Architecture.of(text), 3, 10)
    assert sum(p.numel() for p in net.parameters()) == expected
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)
