"""Drawings of cells with the sizes of their maps."""

import pytest
from figure_helpers import check_room, texts
from run_helpers import SMALL

from darts_lite.networks.cells.measuring import CellShapes
from darts_lite.plots.cells import draw_cells, list_sizes, name_ranges
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.nasbench201 import read_string
from darts_lite.space.cells.skeleton_settings import SkeletonSettings
from darts_lite.space.cost_tables import Images


def test_each_state_has_its_maps_below_it() -> None:
    """A stem of stride 2, a normal cell of 4 channels, a reducing one of 8."""
    found = SMALL.first_architecture()
    assert isinstance(found, Architecture)
    figure = draw_cells(found, ["mine"], Images(3, 7, 32))
    check_room(figure)
    shown = texts(figure)
    stem = "stem conv3x3_stride2 8 x 16 x 16"
    assert f"image 3 x 32 x 32, {stem}, 2 cells, mean, linear, 7 classes" in shown
    assert "$0$\n4 x 16 x 16" in shown and "$c_{k}$\n8 x 16 x 16" in shown
    assert "$c_{k-1}$\n8 x 16 x 16" in shown and "$0$\n8 x 8 x 8" in shown
    assert "cell 1 of 2" in shown and "cell 2 of 2" in shown


def test_cells_of_several_sizes_have_a_line_for_each() -> None:
    cell = read_string("|nor_conv_1x1~0|")
    frame = SkeletonSettings(16, 6, (1, 2, 3), "conv3x3_narrow", "residual")
    shown = texts(draw_cells(Architecture({"normal": cell}, skeleton=frame), [], Images(1, 10, 32)))
    assert "$0$\n16 x 32 x 32\n32 x 16 x 16\n64 x 8 x 8\n..." in shown
    assert any(text.startswith("cells 1 to 6 of 6; below each state") for text in shown)


@pytest.mark.parametrize(
    ("numbers", "told"), [([1], "1"), ([1, 2, 3, 5], "1 to 3, 5"), ([2, 4], "2, 4")]
)
def test_numbers_are_told_as_ranges(numbers: list[int], told: str) -> None:
    assert name_ranges(numbers) == told


def test_sizes_are_listed_state_by_state() -> None:
    sizes = [
        CellShapes("normal", ((4, 8), (4, 8)), (8, 8)),
        CellShapes("normal", ((8, 4),) * 2, (16, 4)),
    ]
    assert list_sizes(sizes) == [["4 x 8 x 8", "8 x 4 x 4"]] * 2 + [["8 x 8 x 8", "16 x 4 x 4"]]
