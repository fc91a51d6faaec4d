"""What chains need on a small device, beside what the micro interpreter says."""

from functools import partial
from random import Random

import pytest

from darts_lite import ArchitectureSearch, LayerSpace, WithinBudget
from darts_lite.search.playoff.proposals import propose_opening
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.layers.device_costs import Program, count_needs, write_program
from darts_lite.space.walks import draw_within

DIGITS = Images(1, 10, 28)
SPACE = LayerSpace(stages=(2, 1), widths=(4, 8, 16), placements=("stem 1", "stem 2"))
LAST = Block(3, 3, 1, 2, True)
RESIDUAL = (Block(5, 5, 2), Block(5, 5, residual=True), Block(5, 8), Block(5, 12))
STRIDED = (Block(3, 3, 2, full=True), Block(3, 3, 1, 1, True), Block(5, 5, 2, 1), Block(3, 6, 1, 1))
FULL = (Block(5, 2, full=True), Block(3, 4, 2, full=True), Block(3, 4, residual=True), Block(3, 5))
WIDE = (Block(3, 20, 2), Block(5, 4, 1, 1), Block(3, 6, 1, 1))
PADS = Chain(3, 8, 1, (Block(3, 16, 2, full=True), Block(5, 6, 2, full=True)), head=7)
MEASURED = {
    "strides that pad": (PADS, 15904, 9008),
    "a residual": (Chain(5, 3, 1, RESIDUAL, head=3), 8064, 5856),
    "strides of grown kernels": (Chain(5, 2, 2, STRIDED), 6416, 4648),
    "half the image": (Chain(5, 2, 1, FULL[:3] + (Block(3, 5, 1, 1),), halved=True), 5312, 3880),
    "wide maps": (Chain(5, 4, 1, WIDE, head=3), 11984, 5936),
}
"""Bytes of the arena and the file, as benchmarks/device.py measures them."""
MOTIONS = (Block(15, 32, 2), Block(15, 32, residual=True), Block(7, 48))
GROWING = (Block(7, 48, residual=True), Block(15, 64), Block(15, 64, residual=True))
ODD = (Block(7, 16), Block(7, 16, residual=True, full=True), Block(7, 16, 2, 2), Block(7, 16, 1, 2))
STRIDES = (Block(7, 16, 2, 1), Block(3, 16, 1, 1), Block(7, 16, 1, 1), Block(3, 8, 2, 2))
OTHERS = {
    "half of an odd image": (
        Images(1, 4, 27),
        Chain(3, 4, 1, (Block(3, 8),), halved=True),
        *(4880, 2616),
    ),
    "signals": (Images(6, 4, 100), Chain(3, 24, 1, MOTIONS + GROWING, axes=1), 19088, 26616),
    "half of an odd signal": (
        Images(1, 2, 101),
        Chain(3, 8, 1, ODD, halved=True, axes=1),
        *(8400, 10496),
    ),
    "strides over signals": (
        Images(6, 5, 33),
        Chain(3, 8, 2, STRIDES, head=2, axes=1),
        *(8080, 8536),
    ),
}
"""The same for other images, and for signals."""
PLANNED = {
    "one that pads": (PADS, 13472),
    "grown kernels": (Chain(5, 3, 1, RESIDUAL, head=3), 3920),
    "full ones": (
        Chain(
            *(3, 5, 2),
            (Block(3, 2, 2), Block(7, 5, full=True), Block(7, 5, 1, 0, True), Block(5, 3, 2, 4)),
            head=3,
        ),
        1776,
    ),
    "gaps between maps": (
        Chain(
            *(3, 3, 2),
            (Block(5, 10, 1, 3), Block(3, 3, 2), Block(7, 3, 1, 1, True), Block(5, 3, 2), LAST),
        ),
        3744,
    ),
}
"""Bytes of the maps in the arena, as the interpreter tells them."""


@pytest.mark.parametrize("name", MEASURED)
def test_needs_are_never_below_the_interpreters(name: str) -> None:
    chain, arena, file = MEASURED[name]
    found = count_needs(chain, DIGITS)
    assert arena <= found["arena"] <= 1.15 * arena
    assert file <= found["file"] <= 1.15 * file
    assert found.items() <= chain.count_bytes(DIGITS).items()


@pytest.mark.parametrize("name", OTHERS)
def test_needs_of_other_inputs_are_never_below_the_interpreters(name: str) -> None:
    images, chain, arena, file = OTHERS[name]
    found = count_needs(chain, images)
    assert arena <= found["arena"] <= 1.15 * arena
    assert file <= found["file"] <= 1.15 * file


@pytest.mark.parametrize("name", PLANNED)
def test_maps_take_what_the_interpreter_gives_them(name: str) -> None:
    chain, maps = PLANNED[name]
    assert write_program(chain, DIGITS).plan() == maps


def test_maps_are_placed_as_the_interpreter_places_them() -> None:
    program = Program(2, [32])
    wide = program.run("a", [0], 64)
    same = program.run("b", [wide], 64)
    program.run("c", [same, wide], 48)
    assert program.plan() == 64 + 64 + 48
    program.run("d", [3], 128)
    assert program.plan() == 128 + 48  # the others fit beside it


def test_a_play_off_keeps_to_a_device() -> None:
    rule = WithinBudget(arena="8 KiB", file="16 KiB").with_data(1, 10, 28)
    excess = partial(rule.excess, SPACE)
    drawn = draw_within(SPACE, excess, Random(0))
    assert drawn is not None and rule.admits(SPACE, drawn)
    found = drawn.count_bytes(DIGITS)
    assert found["arena"] <= 8192 and found["file"] <= 16384
    assert max(found["arena"] / 8192, found["file"] / 16384) >= 0.9
    assert not WithinBudget(arena="1 KiB").with_data(1, 10, 28).admits(SPACE, drawn)


@pytest.mark.parametrize("name", ["arena", "file"])
def test_a_search_by_gradients_says_what_it_keeps_to(name: str) -> None:
    rule = WithinBudget(arena="8 KiB") if name == "arena" else WithinBudget(file="8 KiB")
    search = ArchitectureSearch(SPACE, derivation=rule.with_data(1, 10, 28))
    with pytest.raises(ValueError, match="a search by gradients needs; set budget.memory and"):
        search.derive()


def test_a_play_off_says_that_no_net_is_within_its_limits() -> None:
    rule = WithinBudget(arena=100).with_data(1, 10, 28)
    with pytest.raises(ValueError, match="no net that was tried is within all limits; raise"):
        [*propose_opening(SPACE, rule, 2, 1, Random(0))]
