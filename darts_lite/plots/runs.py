"""Draws one or several runs: curves, and accuracy against cost.

All drawings work in black and white: lines differ by dashes and marks.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    EngFormatter,
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from darts_lite.plots.run_history import EpochRecord
from darts_lite.storage.atomic_files import shorten_names
from darts_lite.storage.run_record import UNTESTED

DPI = 130
LINES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
MARKS = "os^vDP*X"
LEGEND_ROWS = 24
COSTS = {
    "params": "parameters",
    "macs": "multiply-adds of an answer",
    "milliseconds_per_image_in_batches_of_1": "ms for one image",
}
PARTS = {
    "search": ("search/weights_accuracy", "search/alphas_accuracy", "search/validation_accuracy"),
    "retraining": ("retraining/train_accuracy", "retraining/validation_accuracy"),
}
"""Stage -> accuracies in its panel; the losses have the same names with ``loss`` at the end."""
WIDE = 4.0
"""How many times the least value the largest one is where a logarithmic scale helps."""


def draw_curves(
    stages: Mapping[str, Sequence[EpochRecord]], test_accuracy: float | None = None
) -> Figure:
    """Draws errors in per cent or a task's scores, and losses, by step, one column per stage.

    The stages are ``"search"``, ``"retraining"`` or both, with a record per epoch. The test's error
    is a level line beside the retraining. Scales are logarithmic where values are far apart, so
    that small errors can be told from each other. Raises ValueError without an epoch.
    """
    shown = {stage: moments[1:] for stage, moments in stages.items() if len(moments) > 1}
    if not shown:
        raise ValueError("this run has no finished epoch to draw; let it go on first")
    figure = Figure(figsize=(1.4 + 4.2 * len(shown), 5.6), dpi=DPI, layout="constrained")
    panels = figure.subplots(2, len(shown), squeeze=False, sharex="col")
    for column, (stage, moments) in enumerate(shown.items()):
        errors = {
            _name_part(name): [
                (m.step, 100 * (1 - m.metrics[name])) for m in moments if name in m.metrics
            ]
            for name in PARTS[stage]
        }
        scores = {
            _name_part(name): [(m.step, m.metrics[name]) for m in moments if name in m.metrics]
            for name in (name.replace("accuracy", "score") for name in PARTS[stage])
        }
        is_own = any(scores.values())
        losses = {
            _name_part(name): [(m.step, m.metrics[name]) for m in moments if name in m.metrics]
            for name in (name.replace("accuracy", "loss") for name in PARTS[stage])
        }
        level = None if stage == "search" or test_accuracy is None else 100 * (1 - test_accuracy)
        _plot_curves(panels[0, column], scores if is_own else errors, level)
        _plot_curves(panels[1, column], losses, None)
        panels[0, column].set(title=stage, ylabel="score" if is_own else "error, %")
        panels[1, column].set(ylabel="loss", xlabel="step")
    return figure


def _name_part(metric: str) -> str:
    return metric.partition("/")[2].rpartition("_")[0]


def _plot_curves(
    axes: Axes, curves: Mapping[str, Sequence[tuple[int, float]]], level: float | None
) -> None:
    """Plots curves by their names, and a level of the test."""
    for (name, points), (dashes, mark) in zip(curves.items(), LINES, strict=False):
        if points:
            (line,) = axes.plot(*zip(*points, strict=True), dashes, marker=mark, label=name)
            line.set(fillstyle="none", markersize=5)
    if level is not None:
        axes.axhline(level, color="black", linewidth=1.2, label=f"test, once: {level:.2f}")
    _choose_scale(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()


def _choose_scale(axes: Axes) -> None:
    """Makes the scale of values logarithmic if they are far apart; below the least one, linear.

    So an error of 0, which no logarithm shows, is at the bottom.
    """
    values = [y for line in axes.lines for y in np.asarray(line.get_ydata(), float).tolist()]
    positive = [value for value in values if 0 < value < math.inf]
    if not positive or max(positive) < WIDE * min(positive):
        return
    least, most = min(positive), max(positive)
    if min(values) > 0:
        axes.set_yscale("log")
        axes.set_ylim(least / 1.3, most * 1.3)
    else:
        axes.set_yscale("symlog", linthresh=least, linscale=0.3)
        axes.set_ylim(-0.05 * least, most * 1.3)
    low, high = axes.get_ylim()
    decades = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 1)
    steps = (1, 2, 5) if most < 500 * least else (1,)
    ticks = [0.0] + [step * 10.0**decade for decade in decades for step in steps]
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def draw_costs(runs: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draws the test errors of runs against their nets' costs: names -> summaries.

    Each data set has its own row of panels: errors and costs are those of its images. Raises
    ValueError if no run was tested.
    """
    tested = {name: run for name, run in runs.items() if run.get("test_accuracy") is not None}
    if not tested:
        raise ValueError(UNTESTED)
    # A legend leaves out labels that begin with an underscore, hence the space.
    names = [f" {name}" if name[0] == "_" else name for name in shorten_names([*tested])]
    named = dict(zip(names, tested.values(), strict=True))
    datasets = list(dict.fromkeys(str(run.get("dataset")) for run in named.values()))
    columns = -(-len(named) // LEGEND_ROWS)
    width = 11 + columns * (0.6 + 0.1 * max(map(len, names)))  # with room for the legend
    figure = Figure(figsize=(width, 3.6 * len(datasets) + 0.2), dpi=DPI, layout="constrained")
    rows = figure.subplots(len(datasets), len(COSTS), sharey="row", squeeze=False)
    marks = {name: MARKS[number % len(MARKS)] for number, name in enumerate(names)}
    for dataset, panels in zip(datasets, rows, strict=True):
        shown = {name: run for name, run in named.items() if str(run.get("dataset")) == dataset}
        for panel, (key, title) in zip(panels, COSTS.items(), strict=True):
            _plot_costs(panel, shown, key, marks)
            panel.set_xlabel(title)
        of = f"{Path(dataset).name}: " if len(datasets) > 1 else ""
        panels[0].set_ylabel(f"{of}test error, %", parse_math=False)
        panels[0].set_ylim(bottom=max(0.0, panels[0].get_ylim()[0]))
        _choose_scale(panels[0])
    every = [panel.get_legend_handles_labels() for panels in rows for panel in panels]
    points = {label: point for pair in every for point, label in zip(*pair, strict=True)}
    shown_names = [name for name in names if name in points]
    legend = figure.legend(
        [points[name] for name in shown_names],
        shown_names,
        loc="outside right upper",
        fontsize=7,
        ncols=columns,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _plot_costs(
    panel: Axes, runs: Mapping[str, Mapping[str, Any]], key: str, marks: Mapping[str, str]
) -> None:
    """Plots the error of each run at one of its costs, as far as it is known."""
    costs = {name: run[key] for name, run in runs.items() if run.get(key) is not None}
    for name, cost in costs.items():
        error = 100 * (1 - runs[name]["test_accuracy"])
        panel.plot([cost], [error], marks[name], fillstyle="none", label=name)
    if costs and max(costs.values()) >= 10 * min(costs.values()):
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        panel.xaxis.set_minor_formatter(NullFormatter())
    else:  # within one decade, logarithmic ticks would overlap
        panel.xaxis.set_major_locator(MaxNLocator(3))
    panel.xaxis.set_major_formatter(
        lambda value, _: f"{value:g}" if value < 1000 else EngFormatter(sep="")(value)
    )
    panel.grid(alpha=0.3)
