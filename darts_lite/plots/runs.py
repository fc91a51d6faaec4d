"""Pictures of a run and of several: curves, how the shares moved, accuracy against cost.

All can be told apart in black and white: lines by their dashes and marks, shares by their shade.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    EngFormatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)
from PIL import Image

from darts_lite.plots.cells import draw_shares, edge_names, shown_name
from darts_lite.storage.atomic_files import short_names, written_whole
from darts_lite.storage.run_history import Moment, Told

DPI = 130
MOST_FRAMES = 6
"""Moments side by side in a film strip."""
MILLISECONDS = 500
"""For which each picture of an animation is shown; the last one five times as long."""
LINES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
MARKS = "os^vDP*X"
LEGEND_ROWS = 24
NO_SHARES = "this run has no shares of candidates to draw; give one that searched by gradients"
COSTS = {
    "params": "parameters",
    "macs": "multiply-adds",
    "milliseconds_per_image_in_batches_of_1": "ms for one image",
}
PARTS = {
    "search": ("search/weights_accuracy", "search/alphas_accuracy", "search/validation_accuracy"),
    "retraining": ("retraining/train_accuracy", "retraining/validation_accuracy"),
}
"""Stage -> what its panel of accuracies shows; losses have the same names."""


def draw_curves(stages: Mapping[str, Sequence[Moment]]) -> Figure:
    """Accuracy and loss by step, a column per stage.

    Args:
        stages: ``"search"`` and ``"retraining"``, as far as there are any.

    Raises:
        ValueError: if there is nothing to draw.
    """
    shown = {stage: moments[1:] for stage, moments in stages.items() if len(moments) > 1}
    if not shown:
        raise ValueError("this run has no finished epoch to draw; let it go on first")
    figure = Figure(figsize=(0.8 + 4.2 * len(shown), 5.2), dpi=DPI, layout="constrained")
    panels = figure.subplots(2, len(shown), squeeze=False, sharex="col")
    for column, (stage, moments) in enumerate(shown.items()):
        for row, quantity in enumerate(("accuracy", "loss")):
            names = [name.replace("accuracy", quantity) for name in PARTS[stage]]
            _curves(panels[row, column], moments, names)
            panels[row, column].set_ylabel(quantity)
        panels[0, column].set_title(stage)
        panels[1, column].set_xlabel("step")
    return figure


def _curves(axes: Axes, moments: Sequence[Moment], names: Iterable[str]) -> None:
    for name, (dashes, mark) in zip(names, LINES, strict=False):
        points = [(m.step, m.metrics[name]) for m in moments if name in m.metrics]
        if points:
            label = name.partition("/")[2].rpartition("_")[0]
            (line,) = axes.plot(*zip(*points, strict=True), dashes, marker=mark, label=label)
            line.set(fillstyle="none", markersize=5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend()


def draw_film(search: Told) -> Figure:
    """The shares of all edges at a few moments of a search, from left to right.

    Raises:
        ValueError: if there are no shares.
    """
    moments = search.with_shares
    if not moments:
        raise ValueError(NO_SHARES)
    chosen = np.unique(np.linspace(0, len(moments) - 1, MOST_FRAMES).round().astype(int))
    frames = [moments[i] for i in chosen]
    kinds = list(frames[0].shares)
    rows = [len(frames[0].shares[kind]) for kind in kinds]
    figure = Figure(
        figsize=(1.2 + 1.6 * len(frames), 1.4 + 0.22 * sum(rows)), dpi=DPI, layout="constrained"
    )
    panels = figure.subplots(
        len(kinds), len(frames), squeeze=False, sharex=True, height_ratios=rows
    )
    darkest = max(float(f.shares[kind].max()) for f in frames for kind in kinds)
    names = [shown_name(name) for name in search.candidates]
    for row, kind in enumerate(kinds):
        for column, frame in enumerate(frames):
            axes = panels[row, column]
            shown = axes.imshow(
                frame.shares[kind].numpy(), cmap="Greys", vmin=0, vmax=darkest, aspect="auto"
            )
            axes.set_yticks([])
            axes.set_xticks(range(len(names)), names, rotation=90, size=7)
        edges = edge_names(rows[row], search.inputs)
        panels[row, 0].set_yticks(range(len(edges)), edges, size=7)
        panels[row, 0].set_ylabel(f"{kind} cell")
    figure.colorbar(shown, ax=panels, label="share of the candidate")
    for axes, frame in zip(panels[0], frames, strict=True):
        axes.set_title(f"step {frame.step}", size=9)
    return figure


def animate(search: Told, path: str | Path) -> None:
    """Writes a GIF of the shares, a picture per moment, the kinds of cells one below the other.

    Raises:
        ValueError: if there are no shares.
        OSError: see `written_whole`.
    """
    pictures = []
    for moment in search.with_shares:
        parts = [
            draw_shares(
                shares, search.candidates, f"{kind} cell, step {moment.step}", search.inputs
            )
            for kind, shares in moment.shares.items()
        ]
        pictures.append(Image.fromarray(np.concatenate(list(map(_pixels, parts)))))
    if not pictures:
        raise ValueError(NO_SHARES)
    durations = [MILLISECONDS] * (len(pictures) - 1) + [5 * MILLISECONDS]
    first, *others = [picture.quantize(64) for picture in pictures]
    with written_whole(path) as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def _pixels(figure: Figure) -> Any:
    """``(height, width, 3)``, uint8."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=80, facecolor="white")
    return np.asarray(Image.open(content).convert("RGB"))


def _short(value: float, _: int) -> str:
    return f"{value:g}" if value < 1000 else EngFormatter(sep="")(value)


def draw_costs(runs: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Test accuracy of several runs against what their nets cost.

    Args:
        runs: Names and summaries.

    Raises:
        ValueError: if none of them was tested.
    """
    tested = {name: run for name, run in runs.items() if run.get("test_accuracy") is not None}
    if not tested:
        raise ValueError("none of these runs has a test accuracy; let one finish first")
    columns = -(-len(tested) // LEGEND_ROWS)
    figure = Figure(figsize=(11 + 1.5 * columns, 3.8), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(COSTS), sharey=True)
    names = [f" {name}" if name[0] == "_" else name for name in short_names([*tested])]  # all shown
    if len({run.get("dataset") for run in tested.values()}) > 1:
        told = [Path(str(run.get("dataset"))).name for run in tested.values()]
        names = [f"{name} ({dataset})" for name, dataset in zip(names, told, strict=True)]
    for panel, (key, title) in zip(panels, COSTS.items(), strict=True):
        costs = [run[key] for run in tested.values() if run.get(key) is not None]
        for number, (name, run) in enumerate(zip(names, tested.values(), strict=True)):
            if run.get(key) is not None:
                mark = MARKS[number % len(MARKS)]
                point = ([run[key]], [100 * run["test_accuracy"]])
                panel.plot(*point, mark, fillstyle="none", label=name)
        if costs and max(costs) >= 10 * min(costs):
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            panel.xaxis.set_minor_formatter(NullFormatter())
        else:  # the marks of a decade would lie in each other
            panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.xaxis.set_major_formatter(FuncFormatter(_short))
        panel.set_xlabel(title)
        panel.grid(alpha=0.3)
    panels[0].set_ylim(top=min(100.0, panels[0].get_ylim()[1]))
    panels[0].set_ylabel("test accuracy, %")
    points, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(points, labels, loc="outside right upper", fontsize=7, ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
