"""Two architectures in one drawing."""

import pytest
from figure_helpers import boxes, check_room, texts

from darts_lite.plots.comparison import draw_comparison
from darts_lite.space.cells.architecture import ARCHITECTURES
from darts_lite.space.groups import Diagram
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.protocol import AnyArchitecture

V1, V2 = ARCHITECTURES["DARTS_V1"], ARCHITECTURES["DARTS_V2"]
SHORT = Chain(5, 8, 2, (Block(5, 8, residual=True), Block(3, 16, 2)))
LONG = Chain(5, 8, 2, (Block(3, 8, residual=True), Block(3, 16, 2), Block(3, 16)))
MIXED = [("a $1 net", V1), ("chain", SHORT)]


def count_differences(first: Diagram, second: Diagram) -> int:
    """Edges that only one of them has, by the names of the states that they read."""
    ours, theirs = (
        [{(name, one.states[source]) for name, source in edges} for edges in one.edges]
        for one in (first, second)
    )
    return sum(len(mine ^ other) for mine, other in zip(ours, theirs, strict=True))


def test_names_stand_in_the_titles_and_differences_have_stars_and_dashes() -> None:
    figure = draw_comparison([("DARTS_V1", V1), ("mine", V2)])
    check_room(figure)
    shown = texts(figure)
    for kind in ("normal", "reduce"):
        for name in ("DARTS_V1", "mine"):
            assert f"{kind} cell of {name} (20 cells of 36 channels)" in shown
    expected = sum(count_differences(V1.diagrams[kind], V2.diagrams[kind]) for kind in V1.diagrams)
    assert sum(text.endswith(" *") for text in shown) == expected
    [axes] = figure.axes
    looks = [(patch.get_linestyle() != "-", patch.get_edgecolor()) for patch in axes.patches]
    assert sum(dashed for dashed, _ in looks) == expected
    assert len({colour for dashed, colour in looks if dashed}) == 2


def test_the_same_nodes_stand_at_the_same_places() -> None:
    found = boxes(draw_comparison([("a", V1), ("b", V2)]))
    titles = [(box.y0, text) for text, box in found if "cell of" in text]
    assert len(titles) == 4
    for node in ("$0$", "$1$", "$2$", "$3$", "$c_{k}$"):
        places = [box for text, box in found if text == node]
        assert len(places) == 4
        for one, other, above, below in ((0, 1, 0, 1), (2, 3, 2, 3)):
            assert places[one].x0 == pytest.approx(places[other].x0)
            between = titles[above][0] - titles[below][0]
            assert places[one].y0 - places[other].y0 == pytest.approx(between)


@pytest.mark.parametrize("named", [[("same", V1)] * 2, [("same", SHORT)] * 2])
def test_what_is_the_same_has_no_star(named: list[tuple[str, AnyArchitecture]]) -> None:
    assert not any("*" in text for text in texts(draw_comparison(named)))


def test_chains_are_drawn_block_below_block() -> None:
    figure = draw_comparison([("short", SHORT), ("long", LONG)])
    check_room(figure)
    found = boxes(figure)
    assert [text for text, _ in found if text.endswith(" *")] == ["block 1 *"] * 2 + ["block 3 *"]
    for block in ("stem", "block 1 *", "block 2", "answer"):
        one, other = (box.x0 for text, box in found if text == block)
        assert one == pytest.approx(other)


def test_architectures_of_other_kinds_are_drawn_each_for_itself() -> None:
    figure = draw_comparison(MIXED)
    check_room(figure)
    assert "normal cell of a $1 net (20 cells of 36 channels)" in texts(figure)
    assert any(text.startswith("chain of chain (") for text in texts(figure))
