"""Choices as plain modules."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from own_networks import Block, MyNet
from torch import nn

from darts_lite import Choice, InputChoice, Repeat


def test_outside_of_a_search_the_first_option_runs() -> None:
    first, second = Block(2, 1), Block(2, 3)
    x = torch.randn(2, 2, 6, 6)
    choice = nn.Sequential(Choice({"first": first, "second.one": second}))
    assert torch.equal(choice.eval()(x), first.eval()(x))
    repeat = Repeat(lambda place: Block(2, 3), 0, 2).eval()
    assert torch.equal(repeat(x), x)
    assert torch.equal(InputChoice(3, keep=2)([x, 2 * x, 5 * x]), 3 * x)
    joined = InputChoice(2, keep=2, join="concat")([x, x])
    assert joined.shape == (2, 4, 6, 6)


def test_they_are_exported_as_what_runs() -> None:
    net, images = MyNet(1, 10).eval(), torch.randn(2, 1, 28, 28)
    program = torch.export.export(net, (images,))
    assert torch.allclose(program.module()(images), net(images), atol=1e-6)


def test_weights_mix_what_options_return() -> None:
    x = torch.randn(2, 2, 6, 6)
    repeat = Repeat(lambda place: Block(2, 3), 0, 2).eval()
    once = repeat.blocks_by_place[0](x)
    twice = repeat.blocks_by_place[1](once)
    weights = torch.tensor([0.2, 0.3, 0.5])
    repeat.taken = [*enumerate(weights)]
    assert torch.allclose(repeat(x), 0.2 * x + 0.3 * once + 0.5 * twice)
    inputs = InputChoice(3, keep=2)
    inputs.taken = [*enumerate(weights)]  # 0+1, 0+2, 1+2
    expected = 0.2 * (x + once) + 0.3 * (x + twice) + 0.5 * (once + twice)
    assert torch.allclose(inputs([x, once, twice]), expected)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Choice({}), "must have 1 to 1000 options, got 0"),
        (lambda: Choice({"a": cast(Any, 3)}), "modules by name, got 'a': int"),
        (lambda: Choice({"a": nn.Identity()}, name=""), "must be a text"),
        (lambda: Repeat(lambda place: nn.Identity(), 3, 2), "0 <= at_least <= at_most"),
        (lambda: InputChoice(2, keep=3), "keeps 1 to 2 tensors, got 3"),
        (lambda: InputChoice(2, join=cast(Any, "mean")), "join must be 'sum' or 'concat'"),
        (lambda: InputChoice(2, paths=[Choice({"a": nn.Identity()})]), "must be 2 Choices"),
        (
            lambda: InputChoice(
                2, paths=[Choice({"a": nn.Identity()}), Choice({"b": nn.Identity()})]
            ),
            "the same options",
        ),
        (lambda: InputChoice(2)([torch.ones(1)]), "needs 2 tensors, got 1"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()
