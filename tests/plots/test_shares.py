"""Drawings of shares: light, with their numbers."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from figure_helpers import boxes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from run_helpers import Finished

from darts_lite.plots.run_history import EpochRecord, StageHistory, read_history
from darts_lite.plots.shares import animate, draw_film, draw_shares
from darts_lite.space.cells.genotype import label_edges
from darts_lite.space.groups import Group
from darts_lite.space.layers.layer_space import LayerSpace


@pytest.fixture
def search(finished: Finished) -> StageHistory:
    return read_history(finished.directory / "history" / "search.json")


def group(*options: str) -> Group:
    """The edges of a cell of two nodes."""
    sets = (2, 3)
    return Group("reduce cell", label_edges(sets), options, sets)


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


def test_a_film_shows_the_first_and_the_last_moment(search: StageHistory) -> None:
    long = [
        EpochRecord(step, {}, {kind: s * step / 20 for kind, s in search.moments[0].shares.items()})
        for step in range(20)
    ]
    figure = draw_film(StageHistory(long, search.groups))
    titles = [axes.get_title("right") for axes in figure.axes if axes.get_title("right")]
    named = [axes.get_title("left").strip() for axes in figure.axes if axes.get_title("left")]
    assert named == [group.title for group in search.groups.values()]
    assert len(titles) == 6 and titles[0] == "step 0" and titles[-1] == "step 19"
    upper, *_, lower = (axes for axes in figure.axes if axes.get_images())
    labelled = [bool(axes.xaxis.get_tick_params()["labelbottom"]) for axes in (upper, lower)]
    assert labelled == [False, True]  # both groups have the same options
    shown = figure.axes[5].get_images()[0].get_array()
    last = 100 * long[-1].shares["normal"].numpy()
    assert np.allclose(np.asarray(shown), last)
    told = [text.get_text() for text in figure.axes[5].texts]
    assert told == [f"{value:.0f}" for value in last.flatten()]
    dark = figure.axes[5].get_images()[0].to_rgba(np.array([last.max()]))[0, :3]
    assert dark.mean() > 0.4 and figure.get_facecolor()[:3] == (1, 1, 1)  # black is read on it
    with pytest.raises(ValueError, match="no shares"):
        draw_film(StageHistory([EpochRecord(0, {}, {})]))


@pytest.mark.parametrize(("rows", "groups"), [(1, 1), (1, 6), (14, 2)])
def test_a_film_has_room_for_every_name(rows: int, groups: int, tmp_path: Path) -> None:
    names = tuple(f"r{row}" for row in range(rows))
    known = {
        f"g{i}": Group("a long title of a group", names, (f"{'W' * 25}{i}", "b"), (rows,))
        for i in range(groups)
    }
    record = EpochRecord(0, {}, {name: torch.full((rows, 2), 0.5) for name in known})
    draw_film(StageHistory([record], known)).savefig(tmp_path / "film.png")


def test_an_animation_has_a_picture_per_moment(search: StageHistory, tmp_path: Path) -> None:
    animate(search, tmp_path / "shares.gif")
    with Image.open(tmp_path / "shares.gif") as picture:
        assert picture.n_frames == len(search.moments)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no shares"):
        animate(StageHistory([EpochRecord(0, {}, {})]), tmp_path / "none.gif")
    assert not (tmp_path / "none.gif").exists()
