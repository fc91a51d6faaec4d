"""What networks of users cost."""

from random import Random

import pytest
import torch
from own_networks import Darts, MyNet, Widths
from run_helpers import some_slow
from torch import Tensor, nn

from darts_lite import NetworkSpace, Width
from darts_lite.derivation.costs import COSTS, count_pass, measure_costs
from darts_lite.networks.net import Net
from darts_lite.networks.own.activations import measure_memory
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point

IMAGES = Images(1, 10, 28)


@pytest.mark.parametrize("network", some_slow([MyNet, Widths], [Darts]))
def test_costs_are_those_of_nets_that_are_built(network: type) -> None:
    space, random = NetworkSpace(network).with_data(*IMAGES), Random(0)
    names = ("parameters", "multiply_adds", "flash", "memory")
    costs = {name: measure_costs(space, name, IMAGES) for name in names}
    for _ in range(4):
        found = space.architecture(random_point(space.sizes, random))
        built = count_pass(found, IMAGES)
        assert costs["parameters"].of(found) == built.parameters
        assert costs["multiply_adds"].of(found) == built.multiply_adds
        with torch.device("meta"):
            net = Net(found, 1, 10).eval()
        image = space.blank(device="meta")
        assert costs["flash"].of(found) == COSTS["flash"](net, image)
        assert costs["memory"].of(found) == measure_memory(net, image)


def test_latency_is_measured_where_an_option_stands() -> None:
    space = NetworkSpace(MyNet).with_data(*IMAGES)
    costs = measure_costs(space, "latency", IMAGES, "cpu")
    assert costs.of(space.first_architecture()) > 0


def test_expected_memory_is_exact_for_one_net() -> None:
    space = NetworkSpace(MyNet).with_data(*IMAGES)
    costs = measure_costs(space, "memory", IMAGES)
    found = space.architecture(random_point(space.sizes, Random(3)))
    assert float(costs.expected(space.path(found))) == costs.of(found)
    shares = {n: torch.rand(g.shape, requires_grad=True) for n, g in space.groups.items()}
    costs.expected(shares).backward()
    assert any(rows.grad is not None and rows.grad.abs().sum() > 0 for rows in shares.values())
    with pytest.raises(ValueError, match="reads no table"):
        costs.to_dict()


class Hidden(nn.Module):
    """A product of maps, whose size depends on a width that the module does not hold."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        width = Width(6, (2, 6))
        self.stem = nn.Conv2d(in_channels, width, 3, 4)
        self.last = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x).flatten(2)
        z = torch.matmul(y.transpose(1, 2), y)
        return self.last(y.mean(dim=2)) + 0 * z.mean()


def test_a_part_that_hides_what_it_depends_on_is_told() -> None:
    space = NetworkSpace(f"{__name__}.Hidden").with_data(*IMAGES)
    assert measure_costs(space, "parameters", IMAGES).of(space.first_architecture()) > 0
    with pytest.raises(ValueError, match="multiply_adds of the network are no sum over its parts"):
        measure_costs(space, "multiply_adds", IMAGES)
    with pytest.raises(ValueError, match="no costs 'beauty'"):
        measure_costs(space, "beauty", IMAGES)
