"""Options are tried before a search."""

import pytest
import torch
from own_networks import MyNet
from torch import Tensor, nn

from darts_lite import Choice, InputChoice
from darts_lite.space.own.choices import FIRST
from darts_lite.space.own.trial import find_unmixable

IMAGES = torch.randn(1, 1, 28, 28)


def test_options_of_other_shapes_are_told_apart() -> None:
    net = MyNet(1, 10).eval()
    assert find_unmixable(net, IMAGES) == {"pool"}
    assert all(module.taken is FIRST for module in net.modules() if hasattr(module, "taken"))


def net(options: dict[str, nn.Module]) -> nn.Module:
    return nn.Sequential(Choice(options, name="one"), nn.Flatten(), nn.Linear(784, 3))


class Twice(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Outer(nn.Module):
    """What a choice inside takes changes the shape that an outer option returns."""

    def __init__(self) -> None:
        super().__init__()
        inner = Choice({"x": nn.Identity(), "halve": nn.MaxPool2d(2)}, name="inner")
        self.outer = Choice({"a": nn.Conv2d(1, 1, 1), "b": inner}, name="outer")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.outer(x)
        return y.mean((2, 3))


def test_an_option_whose_inner_choice_changes_the_shape_is_told_apart() -> None:
    assert find_unmixable(Outer().eval(), IMAGES) == {"inner", "outer"}


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.never = Choice({"a": nn.Identity(), "b": nn.ReLU()})
        self.pair = InputChoice(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pair([x, x])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"a": nn.Identity(), "b": nn.Conv2d(7, 1, 1)}, "option 'b' of 'one' fails on Tensor"),
        ({"a": nn.Identity(), "b": nn.MaxPool2d(2)}, "with 'b' of 'one', the network fails in or"),
        ({"a": nn.Conv2d(5, 1, 1)}, "its first options, the network fails in or behind 0.a"),
        ({"a": nn.Identity(), "b": nn.ReLU(inplace=True)}, "changes what it reads"),
        ({"a": nn.Identity(), "b": Twice()}, "with 'b' of 'one', the network fails"),
    ],
)
def test_what_does_not_run_is_named(options: dict[str, nn.Module], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        find_unmixable(net(options).eval(), IMAGES)


def test_a_choice_that_is_never_reached_is_named() -> None:
    with pytest.raises(ValueError, match="never uses the choice 'never'"):
        find_unmixable(Unused().eval(), IMAGES)


class Down(nn.Module):
    """What comes first decides whether the options behind it return maps of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Choice({"halve": nn.MaxPool2d(2), "keep": nn.Identity()})
        self.fit = Choice({"to 14": nn.AdaptiveAvgPool2d(14), "same": nn.Conv2d(1, 1, 1)})

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fit(self.pool(x))
        return y.mean((2, 3))


def test_options_are_tried_on_all_that_comes_before() -> None:
    assert find_unmixable(Down().eval(), IMAGES) == {"pool", "fit"}
