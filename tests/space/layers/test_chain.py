"""Chains of layers: what they may be, what they cost, and their files."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from run_helpers import one_line

from darts_lite.derivation.costs import flash, multiply_adds, parameters
from darts_lite.networks.kinds import read_architecture
from darts_lite.networks.layers.chain_net import ChainNet
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.layers.layer_space import LayerSpace

BY_HAND = Chain(
    *(5, 12, 2),
    (Block(5, 12), Block(5, 16, 2), Block(5, 16, residual=True), Block(3, 32, expansion=2)),
)
IMAGES = Images(1, 10, 28)


def test_it_is_told_in_a_line() -> None:
    assert BY_HAND.genotype() == "stem 5x5-12/2 5x5-12 5x5-16/2 5x5-16+ e2.3x3-32"
    assert Block(3, 8, 2, full=True).name(2) == "full.3x3-8/2"
    assert replace(BY_HAND, halved=True).genotype().startswith("half stem 5x5-12/2")
    signals = replace(BY_HAND, axes=1, head=3).genotype()
    assert signals == "stem 1x5-12/2 1x5-12 1x5-16/2 1x5-16+ e2.1x3-32 head 1x3"


@pytest.mark.parametrize(
    ("images", "axes"), [(IMAGES, 2), (Images(3, 4, 33), 2), (Images(6, 4, 101), 1)]
)
def test_costs_are_those_of_the_net(images: Images, axes: int) -> None:
    space, random = LayerSpace(axes=axes), Random(0)
    for _ in range(12):
        chain = space.build(space.architecture(random_point(space.sizes, random)).choices)
        with torch.device("meta"):
            net = ChainNet(chain, images.channels, images.classes)
            x = torch.zeros(1, *images.shape(axes))
        steps = [*chain.steps(images)]
        assert sum(step.parameters for step in steps) == parameters(net, x)
        assert sum(step.multiply_adds for step in steps) == multiply_adds(net, x)
        assert sum(step.flash for step in steps) == flash(net, x)


def test_memory_is_what_a_layer_reads_writes_and_keeps() -> None:
    held = {step.name: step.values for step in BY_HAND.steps(IMAGES)}
    assert held["stem 5x5-12/2"] == 28 * 28 + 12 * 14 * 14
    assert held["5x5/2"] == 12 * 14 * 14 + 12 * 7 * 7
    assert held["1x1+"] == 3 * 16 * 7 * 7  # the depthwise map, the result, and what is added
    assert held["3x3"] == 2 * 32 * 7 * 7
    weights, channels = 12 * 12, 12
    assert [*BY_HAND.steps(IMAGES)][2].flash == weights + 8 * channels
    steps = BY_HAND.steps(IMAGES)
    largest, flash = max(step.values for step in steps), sum(step.flash for step in steps)
    assert BY_HAND.count_bytes(IMAGES).items() >= {"memory": largest, "flash": flash}.items()


def test_files_come_back(tmp_path: Path) -> None:
    space = LayerSpace()
    for chain in (BY_HAND, replace(BY_HAND, axes=1), space.first_architecture()):
        chain.save(tmp_path / "chain.json")
        assert read_architecture(tmp_path / "chain.json") == chain
        assert Chain.from_dict(json.loads(json.dumps(chain.to_dict()))) == chain


def test_files_of_before_have_no_full_blocks() -> None:
    content = BY_HAND.to_dict()
    for block in content["blocks"]:
        del block["full"]
    assert Chain.from_dict(content) == BY_HAND


def test_files_of_images_tell_no_axes() -> None:
    assert "axes" not in BY_HAND.to_dict()
    assert replace(BY_HAND, axes=1).to_dict()["axes"] == 1


def changed(*path: Any, value: Any) -> dict[str, Any]:
    """The file of a chain with another value in one place."""
    content = json.loads(json.dumps(BY_HAND.to_dict()))
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("version",), 2, "version: must be 1"),
        (("stem_kernel",), 4, "kernel must be odd"),
        (("stem_kernel",), "5", "needs integers"),
        (("stem_width",), 0, "width must be 1 to"),
        (("stem_stride",), 3, "stride 1 or 2"),
        (("blocks",), "many", "blocks: must be a list"),
        (("blocks",), [{}], "must have the keys"),
        (("blocks", 0, "kernel"), True, "needs integers"),
        (("blocks", 0, "expansion"), 99, "expansion must be 0 to 32"),
        (("blocks", 0, "full"), 1, "needs integers, and residual and full true or false"),
        (("blocks", 3, "full"), True, "a full convolution has no expansion"),
        (("blocks", 1, "residual"), True, "is residual, and needs stride 1"),
        (("halved",), 1, "halved: must be a bool"),
        (("chosen",), {"kernel": 3}, "chosen.kernel"),
        (("axes",), 3, "axes must be 1 for signals or 2 for images, got 3"),
        (("axes",), True, "axes must be 1"),
        (("more",), 1, "unknown keys"),
    ],
)
def test_what_is_no_chain_is_refused(path: tuple[Any, ...], value: Any, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        Chain.from_dict(changed(*path, value=value))
    one_line(caught, told)


def test_a_missing_value_is_named() -> None:
    content = BY_HAND.to_dict()
    del content["halved"]
    with pytest.raises(ValueError, match="halved is missing"):
        Chain.from_dict(content)


def test_too_many_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1000"):
        Chain(3, 4, 1, (Block(3, 4),) * 1001)


def test_it_has_no_other_frame() -> None:
    assert BY_HAND.in_skeleton({"channels": None}) is BY_HAND
    with pytest.raises(ValueError, match="has no channels beside what is chosen"):
        BY_HAND.in_skeleton({"channels": 8})
