"""Networks of users as plain torch code."""

import warnings
from random import Random
from typing import Any

import pytest
import torch
from own_networks import MyNet, Widths
from torch import Tensor, nn

from darts_lite import Choice, ImagePreparation, Net, NetworkSpace
from darts_lite.export.standalone import generate_code
from darts_lite.space.groups import random_point

FACTS: dict[str, Any] = {
    "preparation": ImagePreparation(1, 28, mean=(0.1,), std=(0.3,)).to_dict(),
    "test_shifts": 0,
    "class_names": None,
}


def some_net(network: type) -> Net:
    space = NetworkSpace(network).with_data(1, 10, 28)
    return Net(space.architecture(random_point(space.sizes, Random(5))), 1, 10).eval()


@pytest.mark.parametrize("network", [MyNet, Widths])
def test_the_code_answers_alike(network: type) -> None:
    net = some_net(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own
        code = generate_code(net, "a net", FACTS)
    assert "own_networks" not in code and "darts_lite" in code
    names: dict[str, Any] = {}
    exec(compile(code, "net.py", "exec"), names)
    pixels = torch.rand(3, 1, 28, 28)
    wanted = net((pixels - 0.1) / 0.3).softmax(dim=1)
    assert torch.allclose(names["load"]()(pixels), wanted, atol=1e-6)


class Counting(nn.Module):
    """Its course depends on the values, which no exported graph can hold."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.one = Choice({"a": nn.Identity(), "b": nn.ReLU()})
        self.last = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x).mean((2, 3))
        return self.last(x if x.is_meta or x.sum() > 0 else -x)


def test_what_cannot_be_exported_is_told() -> None:
    net = some_net_of(f"{__name__}.Counting")
    with pytest.raises(ValueError, match="Counting cannot be written as plain code"):
        generate_code(net, "a net", FACTS)


def some_net_of(path: str) -> Net:
    return Net(NetworkSpace(path).with_data(1, 10, 28).first_architecture(), 1, 10).eval()
