"""Layouts of cells: columns in order, room for every label, and wires apart."""

from collections.abc import Iterable

import pytest

from darts_lite.plots.layout import LINE_HEIGHT, lay_out
from darts_lite.space.cells.architecture import ARCHITECTURES
from darts_lite.space.cells.genotype import Cell, name_state
from darts_lite.space.groups import Diagram

CELLS: dict[str, Cell] = {
    **{name: architecture.cells["reduce"] for name, architecture in ARCHITECTURES.items()},
    "uneven": ((("none", 0),), (("conv_1x1", 2), ("conv_3x3", 0), ("conv_3x3", 0))),
}


def diagram(cell: Cell, output: Iterable[int]) -> Diagram:
    states = tuple(name_state(state) for state in range(2 + len(cell)))
    return Diagram("cell", states, cell, tuple(output), "c_{k}")


def names(cell: Cell) -> list[list[str]]:
    return [[name for name, _ in node] for node in cell]


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_every_wire_runs_forwards_through_each_column(cell: Cell) -> None:
    layout = lay_out(diagram(cell, range(2, 2 + len(cell))), names(cell))
    texts = [[place.text for place in column] for column in layout.columns]
    assert texts[0] == ["$c_{k-1}$", "$c_{k-2}$"]  # from bottom to top
    assert texts[-1] == ["$c_{k}$"]
    number = {place: n for n, column in enumerate(layout.columns) for place in column}
    for wire in layout.wires:
        start, *_, end = passed = [number[place] for place in wire.places]
        assert passed == list(range(start, end + 1))
        assert start % 2 == end % 2 == 0


def test_lines_below_a_state_have_room() -> None:
    cell = CELLS["uneven"]
    below = [["4 x 8 x 8"] * number for number in range(5)]
    plain, told = (lay_out(diagram(cell, (3,)), names(cell), lines) for lines in ((), below))
    heights = [
        {p.text.partition("\n")[0]: p.height for column in states for p in column if p.text}
        for states in (plain.columns[::2], told.columns[::2])
    ]
    extra = [heights[1][name] - heights[0][name] for name in heights[0]]
    assert sorted(extra) == pytest.approx([LINE_HEIGHT * number for number in range(5)])


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_every_edge_has_a_label_of_its_own(cell: Cell) -> None:
    concat = (0, len(cell))
    labels = [[f"{name} from {source}" for name, source in node] for node in cell]
    *wires, first, second = lay_out(diagram(cell, concat), labels).wires
    edges = [edge for node in cell for edge in node if edge[0] != "none"]
    assert [wire.operation for wire in wires] == [operation for operation, _ in edges]
    places = [wire.places[-2] for wire in wires]
    assert [place.text for place in places] == [f"{name} from {source}" for name, source in edges]
    assert len(set(places)) == len(edges)
    for wire in (first, second):
        assert wire.operation is None
        assert not any(place.text for place in wire.places[1:-1])


def test_the_layout_keeps_wires_apart_and_is_repeatable() -> None:
    cell = ARCHITECTURES["DARTS_V1"].cells["normal"]
    first, second = (lay_out(diagram(cell, (2, 3, 4, 5)), names(cell)) for _ in range(2))
    heights = [[place.y for place in column] for column in first.columns]
    assert heights == [[place.y for place in column] for column in second.columns]
    for column in first.columns:
        for lower, upper in zip(column, column[1:], strict=False):
            assert upper.y - lower.y >= (upper.height + lower.height) / 2 - 1e-9
