"""Draws graphs: arrows with their labels from state to state, each graph under its title.

Lengths are in inches unless another unit is given.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import fmean
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from matplotlib.textpath import TextPath

from darts_lite.plots.labels import shorten_name
from darts_lite.plots.layout import Layout, Place, Wire, lay_out
from darts_lite.space.groups import Diagram

DPI = 160
WIDTH = 9.0
MARGIN = 0.2
TITLE, LINE = 0.42, 0.22  # heights of a title, and of a line of text
FAN = 0.6  # least gap from a state to the labels behind it
ARRIVAL = 0.4  # gap from a label to its node
PORT = 0.3  # height over which the arrows into a state are spread
FONT = 9.0  # points
HEAD = 7.0  # points, of an arrow
POINTS = 72.0  # per inch

Spans = Mapping[Place, tuple[float, float]]  # left and right edge of each place's column
Notes = Sequence[Sequence[str]]  # a text for each edge, node by node


class Style(NamedTuple):
    """The look of a line: its colour, its width in points, and its dashes."""

    colour: str
    thickness: float
    dashes: Any


STYLES: Mapping[str, Style] = {
    "sep": Style("#1f4e9c", 1.6, "-"),
    "conv": Style("#a63603", 1.6, (0, (9, 2))),
    "dil": Style("#7b3294", 1.6, (0, (4, 2))),
    "dw": Style("#00706b", 1.6, (0, (6, 2, 1.5, 2))),
    "max": Style("#b5182b", 1.6, (0, (2, 1.5))),
    "avg": Style("#8a5a00", 1.6, (0, (1, 1.5))),
    "skip": Style("#222222", 0.9, "-"),
    "none": Style("#888888", 0.9, (0, (1, 4))),
}
"""The arrow of an operation, by the first word of its name."""
CUSTOM_STYLE = Style("#444444", 1.6, (0, (6, 2, 1, 2, 1, 2)))
STATE_STYLE = Style("black", 1.0, "-")
OUTPUT_STYLE = Style("#b0b0b0", 1.0, "-")


class Strand(NamedTuple):
    """A wire as it is drawn, with its label; without one it joins a state to the output."""

    wire: Wire
    label: str
    style: Style


class Graph(NamedTuple):
    """A part of a drawing: its layout under a title and lines of text."""

    title: str
    lines: Sequence[str]
    layout: Layout
    strands: Sequence[Strand]

    @property
    def height(self) -> float:
        """The height of all of it."""
        bottom, top = self.layout.extent
        return TITLE + LINE * len(self.lines) + top - bottom + MARGIN


def draw_diagrams(
    diagrams: Mapping[str, Diagram], header: Sequence[str], notes: Mapping[str, Notes] | None = None
) -> Figure:
    """Draws diagrams one below the other: inputs left, nodes in the middle, output right.

    Arrows carry their operation; grey lines join states to the output that is made of them.
    ``notes`` are texts behind the operations: name of a diagram -> nodes -> edges.
    """
    graphs = [
        make_graph(diagram.title, (), diagram, notes=None if notes is None else notes[name])
        for name, diagram in diagrams.items()
    ]
    return draw_graphs(graphs, header)


def make_graph(
    title: str,
    lines: Sequence[str],
    diagram: Diagram,
    below: Sequence[Sequence[str]] = (),
    notes: Notes | None = None,
) -> Graph:
    """Lays a diagram out, each operation in its own style; for `below` see `lay_out`."""
    labels = [[shorten_name(name) for name, _ in edges] for edges in diagram.edges]
    if notes is not None:
        pairs = zip(labels, notes, strict=True)
        labels = [list(map(" ".join, zip(*pair, strict=True))) for pair in pairs]
    layout = lay_out(diagram, labels, below)
    strands = [
        Strand(wire, wire.places[-2].text, choose_style(wire.operation)) for wire in layout.wires
    ]
    return Graph(title, lines, layout, strands)


def draw_graphs(graphs: Sequence[Graph], header: Sequence[str] = ()) -> Figure:
    """Draws graphs one below the other, each under its title.

    All of them stand under the lines of a header, of which the first one is a title.
    """
    needed = [
        sum(_measure_columns(graph.layout)) + sum(_list_gaps(graph.layout)) for graph in graphs
    ]
    width = max(WIDTH, 2 * MARGIN + max(needed))
    above = MARGIN / 2 + LINE * len(header) if header else 0.0
    height = above + sum(graph.height for graph in graphs)
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    _write_lines(axes, header[:1], height - MARGIN / 2, weight="bold")
    _write_lines(axes, header[1:], height - MARGIN / 2 - LINE)
    height -= above
    for graph in graphs:
        title = axes.text(MARGIN, height - TITLE / 2, graph.title, size=12, weight="bold")
        title.set(verticalalignment="center", parse_math=False)
        _write_lines(axes, graph.lines, height - TITLE)
        rest = height - TITLE - LINE * len(graph.lines)
        _draw_graph(axes, graph, width, rest - graph.layout.extent[1])
        height -= graph.height
    return figure


def _write_lines(axes: Axes, lines: Sequence[str], top: float, weight: str = "normal") -> None:
    for number, line in enumerate(lines):
        middle = top - LINE * (number + 0.5)
        text = axes.text(MARGIN, middle, line, size=FONT, va="center", weight=weight)
        text.set_parse_math(weight == "normal")  # a name in a header may have a $


def _measure_columns(layout: Layout) -> list[float]:
    """Returns the widths of the columns; 0 where there is no text."""
    return [max((_measure_text(p.text) for p in column), default=0.0) for column in layout.columns]


def _list_gaps(layout: Layout) -> list[float]:
    return [FAN, ARRIVAL] * (len(layout.columns) // 2)


def _draw_graph(axes: Axes, graph: Graph, width: float, raised: float) -> None:
    layout = graph.layout
    widths, gaps = _measure_columns(layout), _list_gaps(layout)
    spare = (width - 2 * MARGIN - sum(widths) - sum(gaps)) / (len(gaps) / 2)
    spans: dict[Place, tuple[float, float]] = {}
    left = MARGIN
    for column, room, gap in zip(layout.columns, widths, [*gaps, 0.0], strict=True):
        for place in column:
            place.y += raised
            spans[place] = (left, left + room)
        left += room + gap + (spare if gap == FAN else 0.0)
    for wire, label, style in graph.strands:
        _draw_wire(axes, wire.places, spans, style)
        _write(axes, wire.places[-2], label, spans, style, FONT, padding=0.2)
    for place in (place for column in layout.columns[::2] for place in column):
        _write(axes, place, place.text, spans, STATE_STYLE, FONT + 1, padding=0.35)


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
    axes: Axes, place: Place, text: str, spans: Spans, style: Style, size: float, padding: float
) -> None:
    if text:
        frame = {
            "boxstyle": f"round,pad={padding}",
            "facecolor": "white",
            "edgecolor": style.colour,
        }
        at = (fmean(spans[place]), place.y)
        axes.text(*at, text, size=size, ha="center", va="center", bbox=frame, zorder=3)


def _measure_text(text: str) -> float:
    """Returns the width of a text in its frame; 0 without one."""
    lines = [line for line in text.split("\n") if line]
    return (max(map(_measure_line, lines)) + FONT) / POINTS if lines else 0.0


@lru_cache(maxsize=1000)  # drawings of a search have the same names again and again
def _measure_line(line: str) -> float:
    return float(TextPath((0, 0), line, size=FONT + 1).get_extents().width)


def choose_style(operation: str | None) -> Style:
    """Returns the style of an operation's arrow, or of a line to the output without one."""
    if operation is None:
        return OUTPUT_STYLE
    return STYLES.get(operation.partition("_")[0], CUSTOM_STYLE)
