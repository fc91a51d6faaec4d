"""Drawings: every label is there, inside the figure, and collides with no other."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path as Curve
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from darts_lite.plots.architectures import draw_architecture, draw_shares, save
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.genotype import label_edges
from darts_lite.space.cells.skeleton_settings import SkeletonSettings
from darts_lite.space.groups import Group
from darts_lite.space.layers.layer_space import LayerSpace

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


def group(*options: str) -> Group:
    """The edges of a cell of two nodes."""
    sets = (2, 3)
    return Group("reduce cell", label_edges(sets), options, sets)


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """Texts and their extents in pixels, with the frame where there is one."""
    FigureCanvasAgg(figure).draw()
    found = []
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() and text.get_visible():
            frame = text.get_bbox_patch()
            found.append((text.get_text(), (frame or text).get_window_extent()))
    return found


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
    for (name, box), (other_name, other) in combinations(found, 2):
        assert not box.overlaps(other), f"{name} overlaps {other_name}"
    for name, box in found:
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1), name
        assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1), name


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


def test_titles_of_shares_have_room_and_pictures_one_size() -> None:
    chains, sizes = LayerSpace(), set()
    for name, rows in chains.groups.items():
        for step in (0, 10_000_000):
            shares = torch.full(rows.shape, 1 / rows.shape[1])
            figure = draw_shares(shares, rows, f"{rows.title}, step {step}")
            FigureCanvasAgg(figure).draw()
            width, height = figure.get_size_inches() * figure.dpi
            for text in figure.findobj(Text):
                box = text.get_window_extent()
                assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, name
            sizes.add((name, width, height))
    assert len(sizes) == len(chains.groups)


def test_shares_show_rows_columns_and_values() -> None:
    shares = torch.softmax(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    figure = draw_shares(shares.requires_grad_(), group("none", "conv_1x1", "my.ops.Own"), "reduce")
    [axes] = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == [
        "$c_{k-2}$ \N{RIGHTWARDS ARROW} 0",
        "$c_{k-1}$ \N{RIGHTWARDS ARROW} 0",
        "$c_{k-2}$ \N{RIGHTWARDS ARROW} 1",
        "$c_{k-1}$ \N{RIGHTWARDS ARROW} 1",
        "$0$ \N{RIGHTWARDS ARROW} 1",
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "conv_1x1", "Own"]
    assert [text.get_text() for text in figure.texts] == ["reduce"]
    squares = [text.get_text() for text in axes.texts]
    assert squares == [f"{value:.2f}" for value in shares.flatten().tolist()]
    [image] = axes.images
    assert np.allclose(np.asarray(image.get_array()), shares.detach())
    for (name, box), (other_name, other) in combinations(boxes(figure), 2):
        upright = name in squares + rows and other_name in squares + rows
        assert not (upright and box.overlaps(other)), f"{name} overlaps {other_name}"
    for name, box in boxes(figure):
        assert box.x0 >= 0 and box.y0 >= 0 and box.y1 <= figure.bbox.y1, name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_shares_of_any_precision_and_of_numpy(dtype: torch.dtype) -> None:
    values = torch.full((5, 4), 0.25, dtype=dtype)
    assert draw_shares(values, group(*"abcd"), "even").axes[0].texts[0].get_text() == "0.25"
    draw_shares(np.array([[float("nan")] * 2] * 5), group(*"ab"), "diverged")


@pytest.mark.parametrize("shape", [(3, 4), (5, 3), (0, 4), (5,), (5, 4, 1), ()])
def test_shares_of_a_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one row for each row") as caught:
        draw_shares(torch.zeros(shape), group(*"abcd"), "wrong")
    assert "\n" not in str(caught.value)


def test_files_by_their_ending(tmp_path: Path) -> None:
    figure = draw_architecture(chain(1, 1))
    save(figure, tmp_path / "new" / "cell.png")
    save(figure, str(tmp_path / "cell.svg"))
    assert (tmp_path / "new" / "cell.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "cell.svg").read_text()
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        save(figure, tmp_path / "cell.pdf")


def test_figures_are_not_registered_with_pyplot() -> None:
    before = pyplot.get_fignums()
    draw_architecture(chain(1, 1))
    draw_shares(torch.full((5, 2), 0.5), group(*"ab"), "even")
    assert pyplot.get_fignums() == before
