"""Pictures of runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from run_helpers import Finished

from darts_lite.plots.run_history import EpochRecord, StageHistory, read_history
from darts_lite.plots.runs import animate, draw_costs, draw_curves, draw_film
from darts_lite.space.groups import Group


@pytest.fixture
def search(finished: Finished) -> StageHistory:
    return read_history(finished.directory / "history" / "search.json")


def test_curves_have_a_point_per_epoch_and_differ_without_colour(search: StageHistory) -> None:
    figure = draw_curves({"search": search.moments, "retraining": []})
    accuracy, loss = figure.axes
    assert accuracy.get_ylabel() == "accuracy" and loss.get_ylabel() == "loss"
    lines = accuracy.get_lines()
    assert [line.get_label() for line in lines] == ["weights", "alphas", "validation"]
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 3
    validation = [m.metrics["search/validation_accuracy"] for m in search.moments[1:]]
    assert list(lines[2].get_ydata()) == validation  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no finished epoch"):
        draw_curves({"search": search.moments[:1], "retraining": []})


def test_a_film_shows_the_first_and_the_last_moment(search: StageHistory) -> None:
    long = [
        EpochRecord(step, {}, {kind: s * step / 20 for kind, s in search.moments[0].shares.items()})
        for step in range(20)
    ]
    figure = draw_film(StageHistory(long, search.groups))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 6 and titles[0] == "step 0" and titles[-1] == "step 19"
    upper, *_, lower = (axes for axes in figure.axes if axes.get_images())
    labelled = [bool(axes.xaxis.get_tick_params()["labelbottom"]) for axes in (upper, lower)]
    assert labelled == [False, True]  # both groups have the same options
    shown = figure.axes[5].get_images()[0].get_array()
    assert np.allclose(np.asarray(shown), long[-1].shares["normal"].numpy())
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


def test_an_epoch_without_figures_is_drawn(tmp_path: Path) -> None:
    record = EpochRecord(0, {}, {})
    draw_curves({"search": [record, record]}).savefig(tmp_path / "curves.png")


def test_a_legend_has_room(finished: Finished, tmp_path: Path) -> None:
    runs = {f"/logs/{'W' * 60}/{number}": finished.summary for number in range(2)}
    runs["/logs/other/1"] = finished.summary
    draw_costs(runs).savefig(tmp_path / "cost.png")


def test_an_animation_has_a_picture_per_moment(search: StageHistory, tmp_path: Path) -> None:
    animate(search, tmp_path / "shares.gif")
    with Image.open(tmp_path / "shares.gif") as picture:
        assert picture.n_frames == len(search.moments)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no shares"):
        animate(StageHistory([EpochRecord(0, {}, {})]), tmp_path / "none.gif")
    assert not (tmp_path / "none.gif").exists()


def test_costs_show_each_tested_run(finished: Finished) -> None:
    other = finished.summary | {"test_accuracy": 0.5, "params": 10}
    figure = draw_costs({"a": finished.summary, "b": other, "c": {"params": 3}})
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["a", "b"]
    assert len({line.get_marker() for line in lines}) == 2
    more = other | {"params": 2_000_000, "dataset": "/some/photos"}
    figure = draw_costs({"a": finished.summary, "b": more})
    assert [line.get_label() for line in figure.axes[0].get_lines()] == ["a (MNIST)", "b (photos)"]
    figure.canvas.draw()
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {"10k", "100k", "1M"} <= {*ticks}
    assert figure.axes[0].get_ylim()[1] <= 100
    with pytest.raises(ValueError, match="test accuracy"):
        draw_costs({"c": {"params": 3}})
