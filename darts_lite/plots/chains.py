"""Draws chains of layers: each map as a box of its side and width, with what makes it.

Lengths are in inches unless another unit is given.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain import Block, Chain, Step

DPI = 160
MARGIN = 0.2
COLUMN = 1.25  # from the middle of a box to that of the next one
TALLEST, SHORTEST = 1.5, 0.16  # heights of boxes; their areas have the proportions of the maps
WIDEST, NARROWEST = 0.5, 0.07
TEXT = 0.17  # height of a line
ABOVE, BELOW = 1.35, 0.85  # room over and under the boxes
COLOURS = {"image": "#9a9a9a", "residual": "#00706b", "plain": "#1f4e9c", "answer": "#a63603"}


class Part(NamedTuple):
    """A block of a chain, or its stem or end."""

    kind: str  # a key of COLOURS
    title: str
    does: tuple[str, ...]  # its layers, in words
    steps: tuple[Step, ...]


def draw_chain(chain: Chain, images: Images | None = None) -> Figure:
    """Draws a chain from left to right; for known images with sides of maps and costs."""
    parts = list_parts(chain, images)
    width = 2 * MARGIN + COLUMN * len(parts)
    height = 2 * MARGIN + ABOVE + TALLEST + BELOW
    figure = Figure(figsize=(max(width, 5.0), height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, max(width, 5.0)), ylim=(0, height))
    axes.set_axis_off()
    axes.text(MARGIN, height - MARGIN, _describe(parts, images), size=10, weight="bold", va="top")
    middle = MARGIN + BELOW + TALLEST / 2
    places = [MARGIN + COLUMN * (number + 0.5) for number in range(len(parts))]
    sides = [part.steps[-1].side for part in parts]
    widths = [part.steps[-1].channels for part in parts]
    for (left, right), (_, part) in zip(pairwise(places), pairwise(parts), strict=True):
        axes.annotate(
            "",
            (right - WIDEST / 2 - 0.03, middle),
            (left + WIDEST / 2 + 0.03, middle),
            arrowprops={"arrowstyle": "-|>", "color": COLOURS[part.kind], "lw": 1.2},
        )
    for place, part, side, channels in zip(places, parts, sides, widths, strict=True):
        box = (
            max(NARROWEST, WIDEST * math.sqrt(channels / max(widths))),
            max(SHORTEST, TALLEST * side / max(sides)),
        )
        corner = (place - box[0] / 2, middle - box[1] / 2)
        axes.add_patch(
            Rectangle(corner, *box, fc=COLOURS[part.kind], ec="black", lw=0.6, alpha=0.8)
        )
        top = middle + TALLEST / 2 + 0.05
        _write(axes, place, top + TEXT * len(part.does), [part.title], bold=True)
        _write(axes, place, top + TEXT * (len(part.does) - 1), part.does)
        _write(axes, place, middle - TALLEST / 2 - 0.05 - TEXT, [*_count(part, images)])
    return figure


def list_parts(chain: Chain, images: Images | None) -> list[Part]:
    """Returns the parts of a chain with their layers; sides are shares of 64 without images."""
    known = images or Images(1, 10, 64)
    steps = [*chain.steps(known)]
    first = Step("image", "image", known.side, known.channels, 0, 0, 0, 0)
    if chain.halved:
        first = steps.pop(0)
    parts = [Part("image", "image", ("half size",) * chain.halved, (first,))]
    parts.append(Part("plain", "stem", (_name_convolution(chain.stem),), (steps.pop(0),)))
    for number, block in enumerate(chain.blocks, 1):
        count = 1 if block.full else 3 if block.expansion else 2
        own, steps = tuple(steps[:count]), steps[count:]
        does = [f"1x1, x{block.expansion}"] * bool(block.expansion)
        does += [_name_convolution(block)] if block.full else _name_separable(block)
        does += ["+ what enters"] * block.residual
        kind = "residual" if block.residual else "plain"
        parts.append(Part(kind, f"block {number}", tuple(does), own))
    means = "mean" if chain.head == 1 else f"{chain.head}x{chain.head} means"
    return [*parts, Part("answer", "answer", (means, "linear"), tuple(steps))]


def _name_separable(block: Block) -> list[str]:
    return [f"depthwise {_name_convolution(block)}", "1x1"]


def _name_convolution(block: Block) -> str:
    return f"{block.kernel}x{block.kernel}" + (", halves" if block.stride == 2 else "")


def _describe(parts: Sequence[Part], images: Images | None) -> str:
    """Returns the title: what the whole chain costs."""
    if images is None:
        return "chain of layers"
    steps = [step for part in parts for step in part.steps]
    parameters = sum(step.parameters for step in steps)
    adds = sum(step.multiply_adds for step in steps)
    held = max(step.values for step in steps)
    counts = f"{shorten(parameters)} parameters, {shorten(adds)} multiply-adds"
    return f"{counts}, {shorten(held)} activations at most"


def shorten(number: int) -> str:
    """Returns a number in few characters, exactly below a million: ``12,345``, ``1.23 M``."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if number >= size:
            return f"{number / size:,.2f} {unit}"
    return f"{number:,}"


def _count(part: Part, images: Images | None) -> Iterator[str]:
    """Yields what leaves a part and, for known images, what it costs."""
    last = part.steps[-1]
    if images is None:
        yield f"{last.channels} channels" if part.kind in ("plain", "residual") else ""
        return
    yield f"{last.channels} x {last.side} x {last.side}"
    if adds := sum(step.multiply_adds for step in part.steps):
        yield f"{shorten(sum(step.parameters for step in part.steps))} parameters"
        yield f"{shorten(adds)} mult.-adds"
        yield f"{shorten(max(step.values for step in part.steps))} held"


def _write(axes: Axes, x: float, top: float, lines: Sequence[str], bold: bool = False) -> None:
    for number, line in enumerate(lines):
        weight = "bold" if bold else "normal"
        axes.text(x, top - TEXT * number, line, size=7, ha="center", va="bottom", weight=weight)
