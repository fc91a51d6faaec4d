"""Nets answer as the network with their choices does, or the network is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from own_networks import Chains, Darts, MyNet, Unshown, Widths
from torch import Tensor, nn

from darts_lite import Choice, NetworkSpace, Width
from darts_lite.networks.own.network_check import check_network


@pytest.mark.parametrize("network", [MyNet, Widths, Darts, Chains])
def test_networks_that_show_what_they_read_pass(network: type) -> None:
    check_network(NetworkSpace(network).with_data(1, 10, 28))


class Base(nn.Module):
    """A stem, a body that tests fill, and a linear layer."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 4, 3, 4, padding=1)
        self.fill()
        self.last = nn.Linear(4, num_classes)

    def fill(self) -> None:
        raise NotImplementedError

    def body(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Any:
        return self.last(self.body(self.stem(x)).mean((2, 3)))


def choose() -> Choice:
    return Choice({"half": nn.Conv2d(4, 4, 3, padding=1), "b": nn.Conv2d(4, 4, 1)})


class TwicePlaced(Base):
    def fill(self) -> None:
        self.a = choose()
        self.b = self.a
        self.c = nn.Sequential(self.a, nn.ReLU(), self.a)

    def body(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.a(x)))


class Tower(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.block(x))


class Siamese(Base):
    def fill(self) -> None:
        inner = choose()
        self.left, self.right = Tower(inner), Tower(inner)

    def body(self, x: Tensor) -> Tensor:
        return self.left(x) + self.right(2 * x)


class Listed(Base):
    def fill(self) -> None:
        self.a = choose()
        self.order = [self.a]

    def body(self, x: Tensor) -> Tensor:
        return self.order[0](x)


class TwoWidths(Base):
    """Two widths of a sum, which need not be the same."""

    def fill(self) -> None:
        first, second = Width(4, (2, 4)), Width(4, (2, 4))
        self.one, self.two = nn.Conv2d(4, first, 1), nn.Conv2d(4, second, 1)
        self.back = nn.Conv2d(first, 4, 1)

    def body(self, x: Tensor) -> Tensor:
        return self.back(self.one(x) + self.two(x))


class Swapped(Base):
    """Channels are concatenated in the other order."""

    def fill(self) -> None:
        first, second = Width(4, (1, 4)), Width(4, (2, 4))
        self.one, self.two = nn.Conv2d(4, first, 1), nn.Conv2d(4, second, 1)
        self.back = nn.Conv2d(second + first, 4, 1)

    def body(self, x: Tensor) -> Tensor:
        return self.back(torch.cat([self.one(x), self.two(x)], dim=1))


class LaterOption(Base):
    """Only the second option reads channels without showing it."""

    def fill(self) -> None:
        width = Width(4, (2, 4))
        self.one = nn.Conv2d(4, width, 1)
        self.soft = Choice({"a": nn.Identity(), "soft": nn.Softmax(1)})
        self.back = nn.Conv2d(width, 4, 1)

    def body(self, x: Tensor) -> Tensor:
        return self.back(self.soft(self.one(x)))


class Tied(Base):
    def fill(self) -> None:
        width = Width(4, (2, 4))
        self.one, self.two = nn.Conv2d(4, width, 1), nn.Conv2d(4, width, 1)
        self.two.weight = self.one.weight
        self.back = nn.Conv2d(width, 4, 1)

    def body(self, x: Tensor) -> Tensor:
        return self.back(self.one(x) + self.two(x))


class Pair(Base):
    def fill(self) -> None:
        self.a = choose()

    def forward(self, x: Tensor) -> Any:
        return x, self.a(self.stem(x))


class OtherClasses(Base):
    def fill(self) -> None:
        self.a = choose()

    def forward(self, x: Tensor) -> Any:
        return self.a(self.stem(x)).mean((2, 3))


@pytest.mark.parametrize("name", ["TwicePlaced", "Siamese"])
def test_one_module_at_several_places_is_one_choice(name: str) -> None:
    space = NetworkSpace(f"{__name__}.{name}").with_data(1, 10, 28)
    check_network(space)
    assert len(space.structure.variables) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Listed", "a choice stands where torch does not find it"),
        ("TwoWidths", "fails in or behind"),
        ("Swapped", "answers otherwise"),
        ("LaterOption", "answers otherwise"),
        ("Tied", "one and two share weights, which would be cut"),
        ("Pair", "must return logits .* it returns a tuple"),
        ("OtherClasses", r"must return logits .* it returns \(2, 4\)"),
    ],
)
def test_what_would_be_wrong_is_refused(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_network(NetworkSpace(f"{__name__}.{name}").with_data(1, 10, 28))


def test_a_reader_that_does_not_show_its_width_is_told() -> None:
    with pytest.raises(ValueError, match="channels are read by something that does not show"):
        check_network(NetworkSpace(Unshown).with_data(1, 10, 28))


@pytest.mark.parametrize(
    "compute", [lambda w: w**-0.5, lambda w: w / 2, lambda w: w - 1, lambda w: 1 / w]
)
def test_numbers_that_would_not_follow_are_refused(compute: Callable[[Width], Any]) -> None:
    with pytest.raises(TypeError, match="does not follow what is chosen"):
        compute(Width(4, (2, 4)))
