"""The stages of a run."""

import torch
from torch import nn

from darts_lite.pipeline import multiply_adds


def test_multiply_adds_of_a_net_counted_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),  # 14 * 14 * 4 * 9
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # 14 * 14 * 4 * 9
        nn.Flatten(),
        nn.Linear(14 * 14 * 4, 10),
    ).train()
    assert multiply_adds(net, 28, 1) == 2 * 14 * 14 * 4 * 9 + 14 * 14 * 4 * 10
    assert net.training


def test_counting_changes_no_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    multiply_adds(net, 8, 1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
