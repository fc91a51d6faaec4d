"""Draws architectures, and the shares of options, as matplotlib figures.

Lengths are in inches unless another unit is given.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from darts_lite.plots.chains import draw_chain
from darts_lite.plots.layout import Layout, Place, lay_out
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import Diagram, Group
from darts_lite.space.layers.chain import Chain
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.atomic_files import write_whole

DPI = 160
WIDTH = 9.0
MARGIN = 0.2
TITLE = 0.42
FAN = 0.6  # least gap from a state to the labels behind it
ARRIVAL = 0.4  # gap from a label to its node
PORT = 0.3  # height over which the arrows into a state are spread
FONT = 9.0  # points
HEAD = 7.0  # points, of an arrow
POINTS = 72.0  # per inch
LEAST_COLUMNS = 3  # options for which drawings of shares are wide enough to be seen
LETTER = 0.09  # mean width of a letter of a title
STEP_IN_TITLE = 15  # letters: ", step 10000000"
SHORT_NAME = 6  # letters of an option's name that has room without being turned
LONGEST_NAME = 16  # characters

Spans = Mapping[Place, tuple[float, float]]  # left and right edge of each place's column
Notes = Sequence[Sequence[str]]  # a text for each edge, node by node
Style = tuple[str, float, Any]
STYLES: Mapping[str, Style] = {
    "sep": ("#1f4e9c", 1.6, "-"),
    "conv": ("#a63603", 1.6, (0, (9, 2))),
    "dil": ("#7b3294", 1.6, (0, (4, 2))),
    "dw": ("#00706b", 1.6, (0, (6, 2, 1.5, 2))),
    "max": ("#b5182b", 1.6, (0, (2, 1.5))),
    "avg": ("#8a5a00", 1.6, (0, (1, 1.5))),
    "skip": ("#222222", 0.9, "-"),
    "none": ("#888888", 0.9, (0, (1, 4))),
}
"""Colour, width in points and dashes of an operation's arrow, by the first word of its name."""
CUSTOM_STYLE: Style = ("#444444", 1.6, (0, (6, 2, 1, 2, 1, 2)))
OUTPUT_STYLE: Style = ("#b0b0b0", 1.0, "-")


def draw_architecture(
    architecture: AnyArchitecture,
    notes: Mapping[str, Notes] | None = None,
    images: Images | None = None,
) -> Figure:
    """Draws the diagrams one below the other: inputs left, nodes in the middle, output right.

    A chain of layers is drawn by `darts_lite.plots.chains`, with costs for known ``images``.

    Arrows carry their operation; grey lines join states to the output that is made of them.
    ``notes`` are texts behind the operations: name of a diagram -> nodes -> edges.
    """
    if isinstance(architecture, Chain) and notes is None:
        return draw_chain(architecture, images)
    return _draw(
        [
            (diagram.title, _lay_out(diagram, None if notes is None else notes[name]))
            for name, diagram in architecture.diagrams.items()
        ]
    )


def draw_comparison(first: AnyArchitecture, second: AnyArchitecture) -> Figure:
    """Draws the diagrams of two architectures, A and B; a star marks edges that only one has."""
    ours, theirs = first.diagrams, second.diagrams
    drawn = []
    for name in ours | theirs:
        for letter, each, other in (("A", ours, theirs), ("B", theirs, ours)):
            if name in each:
                layout = _lay_out(each[name], _mark_differences(each[name], other.get(name)))
                drawn.append((f"{each[name].title} of {letter}   (* only here)", layout))
    return _draw(drawn)


def _mark_differences(diagram: Diagram, other: Diagram | None) -> Notes:
    """Returns a star for each edge that the other one does not have with the same operation."""
    others = {} if other is None else dict(enumerate(other.named_edges()))
    return [
        ["" if edge in others.get(node, ()) else "*" for edge in edges]
        for node, edges in enumerate(diagram.named_edges())
    ]


def _lay_out(diagram: Diagram, notes: Notes | None) -> Layout:
    labels = [[shorten_name(name) for name, _ in edges] for edges in diagram.edges]
    if notes is not None:
        pairs = zip(labels, notes, strict=True)
        labels = [list(map(" ".join, zip(*pair, strict=True))) for pair in pairs]
        labels = [[label.strip() for label in of_node] for of_node in labels]
    return lay_out(diagram, labels)


def _draw(titled: Sequence[tuple[str, Layout]]) -> Figure:
    """Draws layouts one below the other, each under its title."""
    layouts = [layout for _, layout in titled]
    needed = [sum(_measure_columns(layout)) + sum(_list_gaps(layout)) for layout in layouts]
    width = max(WIDTH, 2 * MARGIN + max(needed))
    extents = [layout.extent for layout in layouts]
    height: float = sum(TITLE + top - bottom + MARGIN for bottom, top in extents)
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    for (title, layout), (bottom, top) in zip(titled, extents, strict=True):
        axes.text(MARGIN, height - TITLE / 2, title, size=12, weight="bold", va="center")
        _draw_layout(axes, layout, width, height - TITLE - top)
        height -= TITLE + top - bottom + MARGIN
    return figure


def draw_shares(shares: torch.Tensor | NDArray[Any], group: Group, title: str) -> Figure:
    """Draws a square per row and option, darker for a larger share, with its value.

    Lines separate the sets. The shares are ``(rows, options)``; ValueError if they are not.
    """
    values = torch.as_tensor(shares).detach().to("cpu", torch.float64).numpy()
    if values.shape != group.shape:
        raise ValueError(
            f"shares must have one row for each row of the group, {group.shape[0]}, and one column "
            f"for each option, {group.shape[1]}; got shape {values.shape}"
        )
    height, width = 0.3 * len(group.rows), 0.75 * max(LEAST_COLUMNS, len(group.options))
    names = [shorten_name(name) for name in group.options]
    upright = max(map(len, names)) <= SHORT_NAME
    left, below, above = 1.0, 0.3 if upright else 0.95, 0.4
    # As wide as the longest title of this group, so that all steps give pictures of one size.
    titled = max(len(title), len(group.title) + STEP_IN_TITLE) * LETTER
    full_width, full_height = max(left + width, titled) + MARGIN, below + height + above
    figure = Figure(figsize=(full_width, full_height), dpi=DPI)
    box = (left / full_width, below / full_height, width / full_width, height / full_height)
    axes = figure.add_axes(box)
    # At least 0.5, so that the even shares at the start of a search all look pale.
    darkest = max(0.5, float(np.nan_to_num(values).max()))
    axes.imshow(values, cmap="Blues", vmin=0, vmax=darkest, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > 0.6 * darkest else "black"
        axes.text(column, row, f"{value:.2f}", size=8, ha="center", va="center", color=colour)
    turned: dict[str, Any] = (
        {} if upright else {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    )
    axes.set_xticks(range(len(names)), names, **({} if upright else turned))
    axes.set_yticks(range(len(group.rows)), group.rows)
    axes.tick_params(length=0, labelsize=FONT)
    for end in [*accumulate(group.sets)][:-1]:
        axes.axhline(end - 0.5, color="black", linewidth=0.8)
    figure.text(MARGIN / full_width, 1 - 0.1 / full_height, title, size=11, va="top")
    return figure


def check_ending(path: str | Path) -> None:
    """Raises ValueError if drawings cannot be written to files of this kind."""
    if Path(path).suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"a drawing must be a .png or .svg file, got {str(path)!r}")


def save(figure: Figure, path: str | Path) -> None:
    """Writes a PNG or SVG file, by the ending of `path`; see `check_ending` and `write_whole`."""
    check_ending(path)
    with write_whole(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:].lower(), facecolor="white")


def _measure_columns(layout: Layout) -> list[float]:
    """Returns the widths of the columns; 0 where there is no text."""
    return [max((_measure_text(p.text) for p in column), default=0.0) for column in layout.columns]


def _list_gaps(layout: Layout) -> list[float]:
    return [FAN, ARRIVAL] * (len(layout.columns) // 2)


def _draw_layout(axes: Axes, layout: Layout, width: float, raised: float) -> None:
    widths, gaps = _measure_columns(layout), _list_gaps(layout)
    spare = (width - 2 * MARGIN - sum(widths) - sum(gaps)) / (len(gaps) / 2)
    spans: dict[Place, tuple[float, float]] = {}
    left = MARGIN
    for column, room, gap in zip(layout.columns, widths, [*gaps, 0.0], strict=True):
        for place in column:
            place.y += raised
            spans[place] = (left, left + room)
        left += room + gap + (spare if gap == FAN else 0.0)
    for wire in layout.wires:
        style = _choose_style(wire.operation)
        _draw_wire(axes, wire.places, spans, style)
        _write(axes, wire.places[-2], spans, style[0], FONT, padding=0.2)
    for place in (place for column in layout.columns[::2] for place in column):
        _write(axes, place, spans, "black", FONT + 1, padding=0.35)


def _draw_wire(axes: Axes, places: Sequence[Place], spans: Spans, style: Style) -> None:
    """Draws a line that is level in every column, so that it touches no label above or below."""
    colour, thickness, dashes = style
    source, *passages, target = places
    # Arrows into one state end at ports spread over its left side, in the order they come from.
    arrivals = sorted(target.before, key=lambda place: place.y)
    port = (arrivals.index(places[-2]) - (len(arrivals) - 1) / 2) * PORT / len(arrivals)
    start = (fmean(spans[source]) + _measure_text(source.text) / 2, source.y)
    end = (fmean(spans[target]) - _measure_text(target.text) / 2, target.y + port)
    # The two ends of the level piece in each column that has a width; Bezier curves join them.
    levels = [(x, p.y) for p in passages if spans[p][0] < spans[p][1] for x in spans[p]]
    vertices, codes = [start], [Curve.MOVETO]
    for (x, y), (next_x, next_y) in pairwise([start, *levels, end]):
        middle = (x + next_x) / 2
        vertices += [(middle, y), (middle, next_y), (next_x, next_y)]
        codes += [Curve.CURVE4] * 3
    curve = Curve(vertices, codes)
    is_arrow = style is not OUTPUT_STYLE
    line = PathPatch(curve, fill=False, ec=colour, lw=thickness, ls=dashes, zorder=1 + is_arrow)
    axes.add_patch(line)
    if is_arrow:
        tip = (end[0] - HEAD / 2 / POINTS, end[1])
        axes.plot(*tip, ">", color=colour, markersize=HEAD, markeredgewidth=0, zorder=2)


def _write(
    axes: Axes, place: Place, spans: Spans, colour: str, size: float, padding: float
) -> None:
    if place.text:
        frame = {"boxstyle": f"round,pad={padding}", "facecolor": "white", "edgecolor": colour}
        at = (fmean(spans[place]), place.y)
        axes.text(*at, place.text, size=size, ha="center", va="center", bbox=frame, zorder=3)


def _measure_text(text: str) -> float:
    """Returns the width of a text in its frame."""
    if not text:
        return 0.0
    return float(TextPath((0, 0), text, size=FONT + 1).get_extents().width + FONT) / POINTS


def shorten_name(operation: str) -> str:
    """Returns the name of an operation, cut to the room in a drawing."""
    name = operation.rpartition(".")[2]
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def _choose_style(operation: str | None) -> Style:
    if operation is None:
        return OUTPUT_STYLE
    return STYLES.get(operation.partition("_")[0], CUSTOM_STYLE)
