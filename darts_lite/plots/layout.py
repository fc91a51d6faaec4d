"""Lays out the drawing of a diagram as a layered graph (Sugiyama, Tagawa and Toda, 1981).

States stand in columns by their depth. Each label has its own room in a column between them, and so
has each wire in every column that it passes, so that no two of them can collide.
"""

import dataclasses
import random
from collections.abc import Sequence
from itertools import accumulate, combinations, pairwise

from darts_lite.space.groups import Diagram

STATE_HEIGHT = 0.46  # inches
LABEL_HEIGHT = 0.29
PASSAGE_HEIGHT = 0.13
LINE_HEIGHT = 0.17  # of a line below the name of a state
STARTS = 12  # number of first orders that are improved; the best result is kept
SWEEPS = 12  # number of passes over all columns that improve an order


@dataclasses.dataclass(eq=False)
class Place:
    """Room in a column for a state, a label, or a passing wire, which has no text.

    `y` is the height of its middle in inches; wires join it to the places `before` and `behind` it
    in the neighbouring columns.
    """

    height: float
    text: str = ""
    y: float = 0.0
    before: list["Place"] = dataclasses.field(default_factory=list)
    behind: list["Place"] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class Wire:
    """A line through one place of each column; its label is the last place but one.

    A wire without an operation joins a state to the output.
    """

    places: list[Place]
    operation: str | None = None


@dataclasses.dataclass(eq=False)
class Layout:
    """Columns of places from bottom to top, states in the even columns, and the wires."""

    columns: list[list[Place]]
    wires: list[Wire]

    @property
    def extent(self) -> tuple[float, float]:
        """Lowest and highest point in inches."""
        places = [place for column in self.columns for place in column]
        return min(p.y - p.height / 2 for p in places), max(p.y + p.height / 2 for p in places)


def lay_out(
    diagram: Diagram, labels: Sequence[Sequence[str]], below: Sequence[Sequence[str]] = ()
) -> Layout:
    """Returns the places and wires of a diagram with ``labels`` on its edges, node by node.

    Lines ``below`` the names of the states, the end last, are optional.
    """
    inputs = diagram.inputs
    depth = [0] * inputs
    for edges in diagram.edges:
        depth.append(1 + max(depth[source] for _, source in edges))
    depth.append(1 + max(depth))
    names = (*diagram.states, diagram.end)
    states = [
        Place(STATE_HEIGHT + LINE_HEIGHT * len(lines), "\n".join([f"${name}$", *lines]))
        for name, lines in zip(names, below or [()] * len(names), strict=True)
    ]
    columns: list[list[Place]] = [[] for _ in range(2 * depth[-1] + 1)]
    for place, column in zip(states, depth, strict=True):
        columns[2 * column].append(place)

    # A wire gets a passage in each column between its ends; the last one holds its label.
    def connect(source: int, target: int, operation: str | None = None, label: str = "") -> Wire:
        between = columns[2 * depth[source] + 1 : 2 * depth[target]]
        passages = [Place(PASSAGE_HEIGHT) for _ in between]
        if operation is not None:
            passages[-1] = Place(LABEL_HEIGHT, label)
        for column, passage in zip(between, passages, strict=True):
            column.append(passage)
        places = [states[source], *passages, states[target]]
        for left, right in pairwise(places):
            left.behind.append(right)
            right.before.append(left)
        return Wire(places, operation)

    node_edges = [
        (source, target, operation, label)
        for target, (edges, texts) in enumerate(zip(diagram.edges, labels, strict=True), inputs)
        for (operation, source), label in zip(edges, texts, strict=True)
        if operation != "none"
    ]
    wires = [connect(*edge) for edge in node_edges]
    wires += [connect(state, len(states) - 1) for state in diagram.output]
    columns = _order([column[::-1] for column in columns])
    if columns[0].index(states[0]) < columns[0].index(states[inputs - 1]):  # the first goes on top
        columns = [column[::-1] for column in columns]
    _straighten(columns)
    return Layout(columns, wires)


def _order(columns: list[list[Place]]) -> list[list[Place]]:
    """Orders the places of each column for few crossings and short wires."""
    shuffle = random.Random(0).shuffle
    lowest, best = (float("inf"), 0.0), columns
    for start in range(STARTS):
        for column in columns:
            if start:  # the first start is the order of the nodes
                shuffle(column)
            _stack(column, [0.0] * len(column))
        # Each sweep sorts every column by the mean height of its places' neighbours (barycentres).
        for sweep in range(SWEEPS):
            forwards = sweep % 2 == 1
            for column in columns if forwards else reversed(columns):
                wanted = {
                    place: _mean_height(place.before if forwards else place.behind, place.y)
                    for place in column
                }
                column.sort(key=wanted.__getitem__)
                _swap(column)
                _stack(column, [wanted[place] for place in column])
            if (cost := _compute_cost(columns)) < lowest:
                lowest, best = cost, [list(column) for column in columns]
    return best


def _mean_height(places: Sequence[Place], otherwise: float) -> float:
    return sum([place.y for place in places]) / len(places) if places else otherwise


def _swap(column: list[Place]) -> None:
    """Swaps neighbours wherever that saves crossings."""
    for _ in column:
        before = tuple(column)
        for i, (lower, upper) in enumerate(pairwise(before)):
            saved = _count_crossings(lower, upper) - _count_crossings(upper, lower)
            if column[i] is lower and saved > 0:
                column[i : i + 2] = upper, lower
        if before == (*column,):
            break


def _count_crossings(lower: Place, upper: Place) -> int:
    sides = ((lower.before, upper.before), (lower.behind, upper.behind))
    return sum([a.y > b.y for lows, highs in sides for a in lows for b in highs])


def _compute_cost(columns: Sequence[Sequence[Place]]) -> tuple[float, float]:
    """Returns the crossings, each counted from both its ends, then the sum of squared lengths."""
    pairs = (pair for column in columns for pair in combinations(column, 2))
    crossings = sum(_count_crossings(*pair) for pair in pairs)
    length = sum((p.y - q.y) ** 2 for column in columns for p in column for q in p.behind)
    return crossings, length


def _straighten(columns: Sequence[Sequence[Place]]) -> None:
    for column in columns:
        _stack(column, [0.0] * len(column))
    for _ in range(4 * SWEEPS):
        for column in columns:
            _stack(column, [_mean_height(place.before + place.behind, place.y) for place in column])


def _stack(column: Sequence[Place], wanted: Sequence[float]) -> None:
    """Moves places as near as possible to the wanted heights, in order and without overlap.

    Least squares under these bounds is isotonic regression of the wanted heights minus the offsets,
    solved by pooling neighbours that are in the wrong order.
    """
    steps = ((a.height + b.height) / 2 for a, b in pairwise(column))
    offsets = list(accumulate(steps, initial=0.0))
    pools: list[tuple[float, int]] = []  # sum and number of each
    for want, offset in zip(wanted, offsets, strict=False):  # an empty column has an offset
        total, number = want - offset, 1
        while pools and pools[-1][0] * number > total * pools[-1][1]:  # a greater mean
            before, members = pools.pop()
            total, number = before + total, members + number
        pools.append((total, number))
    levels = [total / number for total, number in pools for _ in range(number)]
    for place, offset, level in zip(column, offsets, levels, strict=False):
        place.y = offset + level
