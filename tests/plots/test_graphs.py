"""Drawings of graphs: every label is there, inside the figure, and collides with no other."""

import pytest
from figure_helpers import boxes, check_room
from matplotlib.path import Path as Curve

from darts_lite.plots.architectures import draw_architecture
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.skeleton_settings import SkeletonSettings

PLAIN = SkeletonSettings(cells=2, reductions=())
OPS = ("sep_conv_3x3", "skip_connect", "max_pool_3x3", "none", "my.ops.VeryLongOperationName")


def chain(nodes: int, edges: int) -> Architecture:
    """A deep cell: each node reads the one before it, and others."""
    cell = tuple(
        tuple((OPS[(n + e) % 5], max(0, n + 1 - e * (n % 3))) for e in range(edges))
        for n in range(nodes)
    )
    return Architecture({"normal": cell}, skeleton=PLAIN)


def flat(nodes: int) -> Architecture:
    """All nodes read both inputs, one of them twice; the output also holds an input."""
    cell = tuple(((OPS[n % 5], 0), ("conv_1x1", 1), ("conv_3x3", 1)) for n in range(nodes))
    return Architecture({"normal": cell}, {"normal": (0, nodes + 1)}, PLAIN)


CASES = {
    **ARCHITECTURES,
    **{f"chain{n}x{e}": chain(n, e) for n, e in ((1, 1), (1, 2), (3, 1), (3, 2), (7, 2))},
    "flat1": flat(1),
    "flat7": flat(7),
}


@pytest.mark.parametrize("architecture", CASES.values(), ids=CASES)
def test_cells_are_drawn_without_collisions(architecture: Architecture) -> None:
    figure = draw_architecture(architecture)
    found = boxes(figure)
    expected = [f"{kind} cell" for kind in architecture.cells]
    for cell in architecture.cells.values():
        expected += ["$c_{k-2}$", "$c_{k-1}$", "$c_{k}$", *(f"${n}$" for n in range(len(cell)))]
        expected += [
            "VeryLongOperatio..." if "." in op else op
            for edges in cell
            for op, _ in edges
            if op != "none"
        ]
    assert sorted(name for name, _ in found) == sorted(expected)
    check_room(figure)


@pytest.mark.parametrize("name", ["DARTS_V2", "PC_DARTS_image"])
def test_wires_touch_only_their_own_label(name: str) -> None:
    figure = draw_architecture(ARCHITECTURES[name])
    labels = [(text, box) for text, box in boxes(figure) if "_" in text and "$" not in text]
    [axes] = figure.axes
    assert len(axes.patches) == 24  # per cell: 8 edges and 4 lines to the output
    touched = []
    for wire in axes.patches:
        [line] = wire.get_path().to_polygons(wire.get_transform(), closed_only=False)
        touched.append(sum(Curve(line).intersects_bbox(box, filled=False) for _, box in labels))
    assert sorted(touched) == [0] * 8 + [1] * 16


def test_operations_differ_in_black_and_white() -> None:
    cell = tuple(
        ((op, 0),)
        for op in ("sep_conv_3x3", "dil_conv_3x3", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
    )
    [axes] = draw_architecture(Architecture({"normal": cell}, skeleton=PLAIN)).axes
    looks = {(str(p.get_linestyle()), p.get_linewidth()) for p in axes.patches[: len(cell)]}
    assert len(looks) == len(cell)
