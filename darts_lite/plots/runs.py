"""Draws one or several runs: curves, shares over time, accuracy against cost.

All drawings work in black and white: lines differ by dashes and marks, shares by their shade.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter
from PIL import Image

from darts_lite.plots.architectures import draw_shares, shorten_name
from darts_lite.plots.run_history import EpochRecord, StageHistory
from darts_lite.storage.atomic_files import shorten_names, write_whole

DPI = 130
MOST_FRAMES = 6  # largest number of moments side by side in a film strip
MILLISECONDS = 500  # for each picture of an animation; the last one stays five times as long
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
"""Stage -> accuracies in its panel; the losses have the same names with ``loss`` at the end."""


def draw_curves(stages: Mapping[str, Sequence[EpochRecord]]) -> Figure:
    """Draws accuracy and loss by step, one column per stage; raises ValueError without an epoch.

    The stages are ``"search"``, ``"retraining"`` or both, with a record per epoch.
    """
    shown = {stage: moments[1:] for stage, moments in stages.items() if len(moments) > 1}
    if not shown:
        raise ValueError("this run has no finished epoch to draw; let it go on first")
    figure = Figure(figsize=(0.8 + 4.2 * len(shown), 5.2), dpi=DPI, layout="constrained")
    panels = figure.subplots(2, len(shown), squeeze=False, sharex="col")
    for column, (stage, moments) in enumerate(shown.items()):
        for row, quantity in enumerate(("accuracy", "loss")):
            names = [name.replace("accuracy", quantity) for name in PARTS[stage]]
            _plot_curves(panels[row, column], moments, names)
            panels[row, column].set_ylabel(quantity)
        panels[0, column].set_title(stage)
        panels[1, column].set_xlabel("step")
    return figure


def _plot_curves(axes: Axes, moments: Sequence[EpochRecord], names: Iterable[str]) -> None:
    for name, (dashes, mark) in zip(names, LINES, strict=False):
        points = [(m.step, m.metrics[name]) for m in moments if name in m.metrics]
        if points:
            label = name.partition("/")[2].rpartition("_")[0]
            (line,) = axes.plot(*zip(*points, strict=True), dashes, marker=mark, label=label)
            line.set(fillstyle="none", markersize=5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()


def draw_film(search: StageHistory) -> Figure:
    """Draws the shares of all rows at a few moments of a search, from left to right.

    Raises ValueError if there are no shares.
    """
    if not (moments := search.with_shares):
        raise ValueError(NO_SHARES)
    chosen = np.unique(np.linspace(0, len(moments) - 1, MOST_FRAMES).round().astype(int))
    frames = [moments[i] for i in chosen]
    groups = search.groups.values()
    heights = [max(0.22 * len(group.rows), 0.1 * len(group.title)) for group in groups]  # inches
    alike = len({group.options for group in groups}) == 1
    longest = max(len(shorten_name(option)) for group in groups for option in group.options)
    below = 0.1 * longest * (1 if alike else len(groups))  # room for names of options
    size = (1.2 + 1.6 * len(frames), 0.6 + below + sum(heights))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = len(groups), len(frames)
    panels = figure.subplots(*grid, squeeze=False, sharex=alike, height_ratios=heights)
    darkest = max(float(f.shares[kind].max()) for f in frames for kind in search.groups)
    for row, (name, group) in enumerate(search.groups.items()):
        for column, frame in enumerate(frames):
            axes, shares = panels[row, column], frame.shares[name].numpy()
            shown = axes.imshow(shares, cmap="Greys", vmin=0, vmax=darkest, aspect="auto")
            axes.set_yticks([])
            names = [shorten_name(option) for option in group.options]
            axes.set_xticks(range(len(names)), names, rotation=90, size=7)
        panels[row, 0].set_yticks(range(len(group.rows)), group.rows, size=7)
        panels[row, 0].set_ylabel(group.title)
    figure.colorbar(shown, ax=panels, label="share of the candidate")
    for axes, frame in zip(panels[0], frames, strict=True):
        axes.set_title(f"step {frame.step}", size=9)
    return figure


def animate(search: StageHistory, path: str | Path) -> None:
    """Writes a GIF of the shares: one picture per moment, the groups one below the other.

    Raises ValueError if there are no shares; see also `write_whole`.
    """
    pictures = []
    for moment in search.with_shares:
        parts = []
        for name, group in search.groups.items():
            title = f"{group.title}, step {moment.step}"
            parts.append(_render(draw_shares(moment.shares[name], group, title)))
        widest = max(part.shape[1] for part in parts)
        margins = [((0, 0), (0, widest - part.shape[1]), (0, 0)) for part in parts]
        even = [np.pad(*each, constant_values=255) for each in zip(parts, margins, strict=True)]
        pictures.append(Image.fromarray(np.concatenate(even)))
    if not pictures:
        raise ValueError(NO_SHARES)
    durations = [MILLISECONDS] * (len(pictures) - 1) + [5 * MILLISECONDS]
    first, *others = [picture.quantize(64) for picture in pictures]
    with write_whole(path) as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def _render(figure: Figure) -> Any:
    """Returns a figure's pixels as uint8 ``(height, width, 3)``."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=80, facecolor="white")
    return np.asarray(Image.open(content).convert("RGB"))


def draw_costs(runs: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draws the test accuracy of runs against their nets' costs: names -> summaries.

    Raises ValueError if no run was tested.
    """
    tested = {name: run for name, run in runs.items() if run.get("test_accuracy") is not None}
    if not tested:
        raise ValueError("none of these runs has a test accuracy; let one finish first")
    columns = -(-len(tested) // LEGEND_ROWS)
    # A legend leaves out labels that begin with an underscore, hence the space.
    names = [f" {name}" if name[0] == "_" else name for name in shorten_names([*tested])]
    if len({run.get("dataset") for run in tested.values()}) > 1:
        datasets = [Path(str(run.get("dataset"))).name for run in tested.values()]
        names = [f"{name} ({dataset})" for name, dataset in zip(names, datasets, strict=True)]
    width = 11 + columns * (0.6 + 0.1 * max(map(len, names)))  # with room for the legend
    figure = Figure(figsize=(width, 3.8), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(COSTS), sharey=True)
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
        else:  # within one decade, logarithmic ticks would overlap
            panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.xaxis.set_major_formatter(
            lambda value, _: f"{value:g}" if value < 1000 else EngFormatter(sep="")(value)
        )
        panel.set_xlabel(title)
        panel.grid(alpha=0.3)
    panels[0].set_ylim(top=min(100.0, panels[0].get_ylim()[1]))
    panels[0].set_ylabel("test accuracy, %")
    points, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(points, labels, loc="outside right upper", fontsize=7, ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
