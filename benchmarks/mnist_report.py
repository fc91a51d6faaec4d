"""Tables and pictures of the rows that `mnist.py` has made."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from mnist_rows import SMALL_IMAGES
from search_step import table

from darts_lite.derivation.consensus import percentile, percentile_interval


def report(lines: Sequence[Mapping[str, Any]]) -> str:
    """Tables: every net, and how the found one ranks among the random ones."""
    parts = []
    for images in (None, SMALL_IMAGES):
        of_set = [line for line in lines if line["images"] == images]
        if of_set:
            parts.append(f"{images or 'All'} training images:\n\n{nets_table(of_set)}")
        if ranked := rank(of_set):
            parts.append(ranked)
    return "\n\n".join(parts)


def nets_table(lines: Sequence[Mapping[str, Any]]) -> str:
    """A line per net: means over seeds."""
    rows = []
    for net in dict.fromkeys(line["net"] for line in lines):
        own = [line for line in lines if line["net"] == net]
        accuracies = [100 * line["test_accuracy"] for line in own]
        each = ", ".join(f"{value:.2f}" for value in accuracies)
        seconds = {
            name: statistics.median(line.get(name) or 0.0 for line in own)
            for name in ("search_seconds", "retrain_seconds", "wall_seconds")
        }
        rows.append(
            (
                *(net, f"{statistics.fmean(accuracies):.3f}", each),
                f"{statistics.fmean(line['params'] for line in own):,.0f}",
                f"{statistics.fmean(line['macs'] for line in own):,.0f}",
                *(f"{seconds[name]:.0f}" for name in seconds),
                *(
                    ", ".join(sorted({str(line[name]) for line in own}))
                    for name in ("threads", "date")
                ),
            )
        )
    header = (
        *("net", "test, %", "by seed", "parameters", "multiply-adds"),
        *("search, s", "retraining, s", "in all, s", "threads", "date"),
    )
    return table(header, rows)


def rank(lines: Sequence[Mapping[str, Any]]) -> str:
    """How many of the random nets the found one beats, by the mean over the seeds they share."""
    by_net: dict[str, dict[int, float]] = {}
    for line in lines:
        by_net.setdefault(line["net"], {})[line["seed"]] = 100 * line["test_accuracy"]
    found = by_net.get("found", {})
    others = {
        net: [(found[seed], of_net[seed]) for seed in found.keys() & of_net.keys()]
        for net, of_net in by_net.items()
        if net.startswith("random")
    }
    gains = [statistics.fmean(a - b for a, b in pairs) for pairs in others.values() if pairs]
    if not gains:
        return ""
    percent = percentile(0.0, [-gain for gain in gains])
    low, high = percentile_interval(percent, len(gains))
    return (
        f"The found nets beat {percent:.0f} % of {len(gains)} random ones (95 % interval {low:.0f} "
        f"to {high:.0f} %); by {statistics.fmean(gains):+.3f} points on average, paired by seed "
        f"(least {min(gains):+.3f}, largest {max(gains):+.3f})."
    )


def plot(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy against parameters, multiply-adds and seconds; all training images."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    nets = dict.fromkeys(line["net"].partition(" ")[0] for line in lines)
    titles = {"params": "parameters", "macs": "multiply-adds", "seconds": "seconds of training"}
    for panel, (key, title) in zip(panels, titles.items(), strict=True):
        for number, kind in enumerate(nets):
            own = [line for line in lines if line["net"].partition(" ")[0] == kind]
            points = [
                (cost_of(line, key), 100 * line["test_accuracy"])
                for line in own
                if line["images"] is None
            ]
            if points:
                marker = "os^vDP*"[number % 7]
                panel.plot(*zip(*points, strict=True), marker, label=kind, fillstyle="none")
        scale_cost(panel, title)
    panels[0].set_ylabel("test accuracy, %")
    panels[0].legend()
    return figure


def scale_cost(panel: Axes, title: str) -> None:
    """Gives a panel the axis of a cost, whose ticks are few and round."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel(title)
    panel.grid(alpha=0.3)


def cost_of(line: Mapping[str, Any], key: str) -> float:
    """What a net costs; its seconds are those of search and retraining."""
    if key == "seconds":
        searched, trained = line.get("search_seconds") or 0.0, line.get("retrain_seconds")
        return float(searched + trained if trained else line["seconds"])
    return float(line[key])
