"""The memory of activations."""

from random import Random

import torch
from torch import Tensor, nn

from darts_lite import LayerSpace, Net
from darts_lite.networks.own.activations import measure_memory
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point


def test_it_is_that_of_chains() -> None:
    """Chains count their memory from the shapes of their layers."""
    space, images, random = LayerSpace(heads=(1,)), Images(1, 10, 28), Random(0)
    for _ in range(20):
        chain = space.architecture(random_point(space.sizes, random))
        with torch.device("meta"):
            net = Net(chain, 1, 10).eval()
            image = torch.zeros(1, 1, 28, 28)
        assert measure_memory(net, image) == chain.count_bytes(images)["memory"]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 8, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.second(torch.relu(self.first(x))))


def test_what_is_needed_later_is_held_beside() -> None:
    image = torch.zeros(1, 2, 5, 5)
    assert measure_memory(Residual(), image) == 25 * (2 + 8 + 2)
    straight = nn.Sequential(nn.Conv2d(2, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    assert measure_memory(straight, image) == 25 * (8 + 2)
