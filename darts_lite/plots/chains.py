"""Draws chains of layers: each map as a box of its side and width, with what makes it.

Lengths are in inches unless another unit is given.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from darts_lite.plots.labels import format_map, shorten_number
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain import Block, Chain, Step
from darts_lite.space.maps import name_shape

DPI = 160
MARGIN = 0.2
COLUMN = 1.25  # from the middle of a box to that of the next one
TALLEST, SHORTEST = 1.5, 0.16  # heights of boxes; their areas have the proportions of the maps
WIDEST, NARROWEST = 0.5, 0.07
TEXT = 0.17  # height of a line
ABOVE, BELOW = 0.95, 0.75  # room over and under the boxes
HEADER = 0.22  # height of a line of the title
NARROWEST_FIGURE = 6.5
DIFFERENT = ("#1f4e9c", "#b5532b")
"""Colours of what only the first, and only the second, of two architectures has."""
COLOURS = {"input": "#9a9a9a", "residual": "#00706b", "plain": "#1f4e9c", "answer": "#a63603"}


class Part(NamedTuple):
    """A block of a chain, or its stem or end."""

    axes: int  # of its maps
    kind: str  # a key of COLOURS
    title: str
    does: tuple[str, ...]  # its layers, in words
    steps: tuple[Step, ...]


def draw_chain(chain: Chain, header: Sequence[str], images: Images | None = None) -> Figure:
    """Draws a chain from left to right; for known images with sides of maps and costs."""
    parts = list_parts(chain, images)
    lines = [*header, *_list_held(parts, images)] or ["chain of layers"]
    figure, axes = _make_figure(len(parts), 1, len(lines))
    _draw_strip(axes, parts, images, figure.get_figheight() - MARGIN, lines, _find_scale(parts))
    return figure


def draw_chains(named: Sequence[tuple[str, Chain]]) -> Figure:
    """Draws two chains one below the other, block below block.

    What the other one has otherwise stands in dashed boxes of another colour, with a star.
    """
    (_, first), (_, second) = named
    ours, theirs = list_parts(first, None), list_parts(second, None)
    widest = max(len(ours), len(theirs))
    scale = _find_scale([*ours, *theirs])
    figure, axes = _make_figure(widest, 2, 2)
    top = figure.get_figheight() - MARGIN
    for (name, _), parts, others, colour in zip(
        named, (ours, theirs), (theirs, ours), DIFFERENT, strict=True
    ):
        known = {part.title: part for part in others}
        marked = {
            number: colour
            for number, part in enumerate(parts)
            if known.get(part.title) is None
            or known[part.title].does != part.does
            or known[part.title].steps[-1].channels != part.steps[-1].channels
        }
        lines = [name, "dashed, with a star: not in the other one" if marked else "the same"]
        # The answers stand below each other as well, behind a gap in the shorter chain.
        places = [*range(len(parts) - 1), widest - 1]
        _draw_strip(axes, parts, None, top, lines, scale, marked, places)
        top -= _measure_strip(len(lines)) + MARGIN
    return figure


def _make_figure(parts: int, strips: int, lines: int) -> tuple[Figure, Axes]:
    width = max(2 * MARGIN + COLUMN * parts, NARROWEST_FIGURE)
    height = MARGIN + strips * (_measure_strip(lines) + MARGIN)
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def _measure_strip(lines: int) -> float:
    return HEADER * lines + ABOVE + TALLEST + BELOW


def _find_scale(parts: Sequence[Part]) -> tuple[int, int]:
    """Returns the largest side and number of channels, for which boxes are as large as any."""
    last = [part.steps[-1] for part in parts]
    return max(step.side for step in last), max(step.channels for step in last)


def _draw_strip(
    axes: Axes,
    parts: Sequence[Part],
    images: Images | None,
    top: float,
    lines: Sequence[str],
    scale: tuple[int, int],
    marked: Mapping[int, str] = MappingProxyType({}),
    numbers: Sequence[int] = (),
) -> None:
    """Draws the parts of a chain below a height, under lines of which the first one is bold.

    ``marked`` parts have another colour; ``numbers`` are the columns of the parts.
    """
    for number, line in enumerate(lines):
        weight = "normal" if number else "bold"
        text = axes.text(MARGIN, top - HEADER * number, line, size=9, va="top", weight=weight)
        text.set_parse_math(False)
    middle = top - HEADER * len(lines) - ABOVE - TALLEST / 2
    places = [MARGIN + COLUMN * (n + 0.5) for n in numbers or range(len(parts))]
    for (left, right), (_, part) in zip(pairwise(places), pairwise(parts), strict=True):
        axes.annotate(
            "",
            (right - WIDEST / 2 - 0.03, middle),
            (left + WIDEST / 2 + 0.03, middle),
            arrowprops={"arrowstyle": "-|>", "color": COLOURS[part.kind], "lw": 1.2},
        )
    for number, (place, part) in enumerate(zip(places, parts, strict=True)):
        last = part.steps[-1]
        box = (
            max(NARROWEST, WIDEST * math.sqrt(last.channels / scale[1])),
            max(SHORTEST, TALLEST * last.side / scale[0]),
        )
        look: dict[str, Any] = {"fc": COLOURS[part.kind], "ec": "black", "lw": 0.6, "alpha": 0.8}
        star = ""
        if number in marked:
            look = {"fc": "white", "ec": marked[number], "lw": 2.2, "ls": (0, (3, 1.5))}
            star = " *"
        corner = (place - box[0] / 2, middle - box[1] / 2)
        axes.add_patch(Rectangle(corner, *box, **look))
        above = middle + TALLEST / 2 + 0.05
        _write(axes, place, above + TEXT * len(part.does), [part.title + star], bold=True)
        _write(axes, place, above + TEXT * (len(part.does) - 1), part.does)
        _write(axes, place, middle - TALLEST / 2 - 0.05 - TEXT, [*_count(part, images)])


def list_parts(chain: Chain, images: Images | None) -> list[Part]:
    """Returns the parts of a chain with their layers; sides are shares of 64 without images."""
    known = images or Images(1, 10, 64)
    steps = [*chain.steps(known)]
    first = Step("input", "input", known.side, known.channels, 0, 0, 0, 0)
    if chain.halved:
        first = steps.pop(0)
    axes = chain.axes
    parts = [Part(axes, "input", "input", ("half size",) * chain.halved, (first,))]
    parts.append(
        Part(axes, "plain", "stem", (_name_convolution(chain.stem, axes),), (steps.pop(0),))
    )
    for number, block in enumerate(chain.blocks, 1):
        count = 1 if block.full else 3 if block.expansion else 2
        own, steps = tuple(steps[:count]), steps[count:]
        does = [f"1x1, x{block.expansion}"] * bool(block.expansion)
        does += [_name_convolution(block, axes)] if block.full else _name_separable(block, axes)
        does += ["+ what enters"] * block.residual
        kind = "residual" if block.residual else "plain"
        parts.append(Part(axes, kind, f"block {number}", tuple(does), own))
    means = "mean" if chain.head == 1 else f"{name_shape(chain.head, axes)} means"
    return [*parts, Part(axes, "answer", "answer", (means, "linear"), tuple(steps))]


def _name_separable(block: Block, axes: int) -> list[str]:
    return [f"depthwise {_name_convolution(block, axes)}", "1x1"]


def _name_convolution(block: Block, axes: int) -> str:
    return name_shape(block.kernel, axes) + (", halves" if block.stride == 2 else "")


def _list_held(parts: Sequence[Part], images: Images | None) -> list[str]:
    """Returns a line about the memory of a chain, for known images."""
    if images is None:
        return []
    held = max(step.values for part in parts for step in part.steps)
    return [f"{shorten_number(held)} numbers in memory at most"]


def _count(part: Part, images: Images | None) -> Iterator[str]:
    """Yields what leaves a part and, for known images, what it costs."""
    last = part.steps[-1]
    if images is None:
        yield f"{last.channels} channels" if part.kind in ("plain", "residual") else ""
        return
    yield format_map(last.channels, last.side, part.axes)
    if adds := sum(step.multiply_adds for step in part.steps):
        yield f"{shorten_number(sum(step.parameters for step in part.steps))} parameters"
        yield f"{shorten_number(adds)} mult.-adds"
        yield f"{shorten_number(max(step.values for step in part.steps))} held"


def _write(axes: Axes, x: float, top: float, lines: Sequence[str], bold: bool = False) -> None:
    for number, line in enumerate(lines):
        weight = "bold" if bold else "normal"
        axes.text(x, top - TEXT * number, line, size=7, ha="center", va="bottom", weight=weight)
