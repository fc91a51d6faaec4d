"""Pictures of runs."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from run_helpers import Finished

from darts_lite.plots.run_history import EpochRecord, StageHistory, read_history
from darts_lite.plots.runs import draw_costs, draw_curves


@pytest.fixture
def search(finished: Finished) -> StageHistory:
    return read_history(finished.directory / "history" / "search.json")


def test_curves_have_a_point_per_epoch_and_differ_without_colour(search: StageHistory) -> None:
    figure = draw_curves({"search": search.moments, "retraining": []})
    error, loss = figure.axes
    assert error.get_ylabel() == "error, %" and loss.get_ylabel() == "loss"
    lines = error.get_lines()
    assert [line.get_label() for line in lines] == ["weights", "alphas", "validation"]
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 3
    known = [m.metrics["search/validation_accuracy"] for m in search.moments[1:]]
    validation = [100 * (1 - accuracy) for accuracy in known]
    assert list(lines[2].get_ydata()) == validation  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no finished epoch"):
        draw_curves({"search": search.moments[:1], "retraining": []})


def moments(errors: Sequence[float]) -> list[EpochRecord]:
    """A retraining with these errors in per cent, behind its start."""
    name = "retraining/validation_accuracy"
    every = enumerate([50.0, *errors])
    return [EpochRecord(step, {name: 1 - error / 100}, {}) for step, error in every]


@pytest.mark.parametrize("errors", [(30.0, 2.0, 0.7, 0.5), (30.0, 0.7, 0.5, 0.0)])
def test_small_errors_are_told_apart_beside_large_ones(errors: Sequence[float]) -> None:
    """99.3 and 99.5 per cent right."""
    figure = draw_curves({"retraining": moments(errors)}, test_accuracy=0.994)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    first, second, least = (axes.transData.transform((0, e))[1] for e in (0.7, 0.5, min(errors)))
    assert first - second > 0.05 * axes.get_window_extent().height
    assert least >= axes.get_window_extent().y0
    assert axes.get_lines()[-1].get_label() == "test, once: 0.60"
    assert {"1", "10"} <= {label.get_text() for label in axes.get_yticklabels()}


def test_errors_near_each_other_have_a_plain_scale() -> None:
    assert draw_curves({"retraining": moments((3.0, 2.0))}).axes[0].get_yscale() == "linear"


def test_an_epoch_without_figures_is_drawn(tmp_path: Path) -> None:
    record = EpochRecord(0, {}, {})
    draw_curves({"search": [record, record]}).savefig(tmp_path / "curves.png")


def test_a_legend_has_room(finished: Finished, tmp_path: Path) -> None:
    runs = {f"/logs/{'W' * 60}/{number}": finished.summary for number in range(2)}
    runs["/logs/other/1"] = finished.summary
    draw_costs(runs).savefig(tmp_path / "cost.png")


def test_costs_show_each_tested_run(finished: Finished) -> None:
    other = finished.summary | {"test_accuracy": 0.5, "params": 10}
    figure = draw_costs({"a": finished.summary, "b": other, "c": {"params": 3}})
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["a", "b"]
    assert len({line.get_marker() for line in lines}) == 2
    more = other | {"params": 2_000_000, "dataset": "/some/photos"}
    figure = draw_costs({"a": finished.summary, "b": more, "c": finished.summary})
    of_digits, of_photos = figure.axes[0], figure.axes[3]
    assert [line.get_label() for line in of_digits.get_lines()] == ["a", "c"]
    assert [line.get_label() for line in of_photos.get_lines()] == ["b"]
    assert of_photos.get_ylabel() == "photos: test error, %"
    figure = draw_costs({"a": finished.summary, "b": other | {"params": 2_000_000}})
    figure.canvas.draw()
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {"10k", "100k", "1M"} <= {*ticks}
    assert figure.axes[0].get_ylim()[0] >= 0
    with pytest.raises(ValueError, match="test accuracy"):
        draw_costs({"c": {"params": 3}})
