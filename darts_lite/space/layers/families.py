"""Chains made by hand: one or two kinds of block, as wide as bounds allow.

They are what somebody draws in a minute who knows small networks; a search has to beat them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from darts_lite.space.groups import Choices
from darts_lite.space.layers.chain import FULL, PLAIN, RESIDUAL
from darts_lite.space.layers.chain_options import OFF, ChainOptions
from darts_lite.space.maps import name_shape
from darts_lite.space.protocol import HandMade

INVERTED = "inverted residual"
GROWTHS = (1.0, 1.5, 2.0)
"""How many times as wide a stage is as the one before."""
FINENESS = 1.06
"""Ratio of two widths that are tried one after the other."""
STEPS = 60
"""How often in a row a width may become narrower, or wider, to fit."""


class Family(NamedTuple):
    """A kind of chain: expansions of the blocks of the first stage and of later ones, and links.

    The link is how blocks behind the first of a stage stand.
    """

    name: str
    first: int | str
    later: int | str
    link: str


FAMILIES = (
    Family("separable", 0, 0, PLAIN),
    Family("separable residual", 0, 0, RESIDUAL),
    *(Family(INVERTED, each, each, RESIDUAL) for each in (2, 3, 4)),
    Family("full", FULL, FULL, PLAIN),
    Family("full residual", FULL, FULL, RESIDUAL),
    Family("full, then separable", FULL, 0, RESIDUAL),
)
"""Depthwise separable convolutions (MobileNet, arXiv 1704.04861), also with shortcuts; inverted
residuals (MobileNetV2, arXiv 1801.04381); full convolutions, as in every tutorial, also with
shortcuts (ResNet, arXiv 1512.03385); and full ones early only (EfficientNetV2, arXiv 2104.00298).
"""


def scale_families(space: ChainOptions, admits: Callable[[Choices], bool]) -> Iterator[HandMade]:
    """Yields the widest chains that are admitted, of all kernels, depths, placements and growths.

    The families as published read the mean over the map; those with another head are named apart,
    but there are no inverted residuals with another one.

    What is wider than what is not admitted must not be admitted either, as within budgets.
    """
    kernels = [kernel for kernel in space.kernels if kernel in space.stem_kernels]
    known = [each for each in FAMILIES if {each.first, each.later} <= {*space.expansions}]
    widths = [_list_widths(space, growth) for growth in GROWTHS]
    for head, family, kernel in product(space.heads, known, kernels):
        if family.name == INVERTED and head != min(space.heads):
            continue
        name = family.name + f", head {name_shape(head, space.axes)}" * (head > 1)
        every_depth = _list_depths(space, family.link)
        for depths, placement, rising in product(every_depth, space.placements, widths):
            choose = partial(_choose, space, family, head, kernel, depths, placement)
            if (widest := _find_widest(rising, choose, admits)) is not None:
                idea = f"{name_shape(kernel, space.axes)}, {sum(depths)} blocks"
                yield HandMade(name, idea, widest)


def fit_widths(space: ChainOptions, choices: Choices, admits: Callable[[Choices], bool]) -> Choices:
    """Returns choices with all widths changed by one factor, as wide as is admitted."""
    names = ("stem_width", "width")
    offered = {"stem_width": space.stem_widths, "width": space.widths}
    own = {name: [int(option) for ((option, _),) in choices[name]] for name in names}

    def scale(factor: float) -> Choices:
        scaled = {
            name: tuple(
                ((str(_round_down(width * factor, offered[name])), 0),) for width in own[name]
            )
            for name in names
        }
        return {**choices, **scaled}

    rising = [scale(FINENESS**power) for power in range(-STEPS, STEPS + 1)]
    count = bisect_left(rising, True, key=lambda scaled: not admits(scaled))
    return rising[count - 1] if count else choices


def _round_down(wanted: float, offered: Sequence[int]) -> int:
    return max((each for each in offered if each <= wanted), default=min(offered))


def _find_widest(
    rising: Sequence[tuple[int, ...]],
    choose: Callable[[tuple[int, ...]], Choices],
    admits: Callable[[Choices], bool],
) -> Choices | None:
    count = bisect_left(rising, True, key=lambda widths: not admits(choose(widths)))
    return choose(rising[count - 1]) if count else None


def _list_depths(space: ChainOptions, link: str) -> list[tuple[int, ...]]:
    """Returns the numbers of blocks of the stages; one more each time, as even as possible.

    Later blocks of a stage stand by a `link`, or are left out, if the space has that.
    """
    least = (1,) * len(space.stages)
    found = [least]
    for level in range(2, max(space.stages) + 1):
        for stage, most in enumerate(space.stages):
            if most >= level:
                last = found[-1]
                found.append((*last[:stage], level, *last[stage + 1 :]))
    return [
        depths
        for depths in found
        if (link in space.links or depths == least) and (OFF in space.links or depths == found[-1])
    ]


def _list_widths(space: ChainOptions, growth: float) -> list[tuple[int, ...]]:
    """Returns widths of the stem and the stages that rise, each time in one place or more."""
    offered = [space.stem_widths] + [space.widths] * len(space.stages)
    widest = tuple(map(max, offered))
    found: list[tuple[int, ...]] = []
    first = float(min(space.stem_widths))
    while widest not in found:
        wanted = [first * growth**stage for stage in range(len(offered))]
        reached = tuple(map(_round_down, wanted, offered))
        if reached not in found:
            found.append(reached)
        first *= FINENESS
    return found


def _choose(
    space: ChainOptions,
    family: Family,
    head: int,
    kernel: int,
    depths: tuple[int, ...],
    placement: str,
    widths: tuple[int, ...],
) -> Choices:
    stem, *stages = widths
    links = [
        family.link if place < depth else OFF
        for most, depth in zip(space.stages, depths, strict=True)
        for place in range(1, most)
    ]
    chosen: dict[str, list[Any]] = {
        "placement": [placement],
        "stem_kernel": [kernel],
        "stem_width": [stem],
        "width": stages,
        "kernel": [kernel] * len(space.slots),
        "expansion": [family.later if stage else family.first for stage, _ in space.slots],
        "head": [head],
        "link": links,
    }
    return space.name_options(
        {
            name: [space.options[name].index(str(one)) for one in chosen[name]]
            for name in space.options
        }
    )
