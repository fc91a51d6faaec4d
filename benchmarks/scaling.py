"""How seconds and memory of a search step grow with the search space, axis by axis.

One search step (see ``systems.py``) of this package's supernet, with one size varied at a time
around a base. Every point runs in a process of its own; seconds are the median of a few steps after
a warm-up, memory is what the process held at most, less what it held before it built the supernet.

The claim is that both grow linearly or better in each size. It is checked by the exponent, the
slope of log cost over log size by least squares; the slope between the two largest points tells
what a fixed overhead hides in the small ones. The sizes:

- channels: seconds against the multiply-adds of one image, which lie between C (depthwise) and C^2
  (pointwise convolutions); memory, which is mostly maps, against C;
- nodes: edges of a cell, since n nodes have n (n + 3) / 2;
- candidates: those besides ``none``, which computes nothing. They are added in an order that mixes
  dear and cheap ones;
- cells: elements of all maps of one image, since cells are unlike: those behind a reduction have
  maps of half the elements, and the more cells, the larger the share before the first reduction;
- batch: images.

Multiply-adds and elements are those of the literal sum, so that they measure the task and not the
way it is done.

    python benchmarks/scaling.py --plot docs/images/scaling.png

Results: docs/benchmarks/speed.md.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from measuring import check_output
from search_step import MIB, add_settings, describe, read_settings, spread, table
from systems import CLASSES, OWN, Batches, Settings, Step, Worker, digits, refuse
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from darts_lite.networks.supernet import Supernet
from darts_lite.plots.files import save
from darts_lite.space.cells.search_space import darts_space

CANDIDATES = (
    "none",
    "sep_conv_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
    "skip_connect",
    "sep_conv_5x5",
    "avg_pool_3x3",
    "dil_conv_5x5",
)


@dataclass(frozen=True)
class Count:
    """Multiply-adds and elements of all maps for one image, and weights, of a literal supernet."""

    multiply_adds: int
    elements: int
    weights: int


@dataclass(frozen=True)
class Point:
    """One size of a sweep and what it cost."""

    value: int
    settings: Settings
    count: Count
    steps: Sequence[Step]

    @property
    def seconds(self) -> float:
        """Of the median step."""
        return statistics.median(step.seconds for step in self.steps)

    @property
    def memory(self) -> float:
        """Added at most, in MiB."""
        return self.steps[-1].added / MIB


Size = tuple[str, Callable[[Point], float]]  # its name, and how large a point is


@dataclass(frozen=True)
class Axis:
    """A size that is varied: its values, and for each cost the size that it is held against."""

    values: Sequence[int]
    sizes: Mapping[str, Size]


def edges(point: Point) -> float:
    """Edges of a cell."""
    return sum(point.settings.space.edges_per_node)


EDGES: Size = ("edges per cell", edges)
ELEMENTS: Size = ("million elements", lambda point: point.count.elements / 1e6)
MULTIPLY_ADDS: Size = ("million multiply-adds", lambda point: point.count.multiply_adds / 1e6)
CHANNELS: Size = ("channels", lambda point: point.value)
IMAGES: Size = ("images", lambda point: point.value)
OPERATIONS: Size = ("candidates besides none", lambda point: point.value - 1)

COSTS: Mapping[str, Callable[[Point], float]] = {
    "seconds": lambda point: point.seconds,
    "memory": lambda point: point.memory,
}
STYLES = {"seconds": "o-", "memory": "s--"}
AXES: Mapping[str, Axis] = {
    "channels": Axis((8, 16, 32, 64), {"seconds": MULTIPLY_ADDS, "memory": CHANNELS}),
    "nodes": Axis((1, 2, 3, 4, 6), dict.fromkeys(COSTS, EDGES)),
    "candidates": Axis(range(2, len(CANDIDATES) + 1), dict.fromkeys(COSTS, OPERATIONS)),
    "cells": Axis((2, 4, 8, 16), dict.fromkeys(COSTS, ELEMENTS)),
    "batch": Axis((8, 16, 32, 64), dict.fromkeys(COSTS, IMAGES)),
}


def varied(base: Settings, axis: str, value: int) -> Settings:
    """The base with one size changed."""
    if axis == "batch":
        return replace(base, batch=value)
    change: dict[str, Any] = {axis: CANDIDATES[:value] if axis == "candidates" else value}
    return replace(base, space=replace(base.space, **change))


def count(settings: Settings) -> Count:
    """Counts without computing anything, on torch's meta device."""
    elements = 0

    def add(module: nn.Module, inputs: object, output: Tensor) -> None:
        nonlocal elements
        elements += output.numel()

    with torch.device("meta"):
        supernet = Supernet(settings.space, 1, CLASSES).eval()
        image = torch.empty(1, 1, settings.size, settings.size)
    for module in supernet.modules():
        if not any(module.children()):
            module.register_forward_hook(add)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        supernet(image, {kind: alpha.softmax(-1) for kind, alpha in supernet.alphas.items()})
    weights = sum(weight.numel() for weight in supernet.weights())
    return Count(counter.get_total_flops() // 2, elements, weights)


def measure(system: str, settings: Settings, batches: Batches, runs: int) -> list[Step]:
    """Steps of one point, in a process of its own, on the first images of the batches."""
    first, second = [(x[: settings.batch], y[: settings.batch]) for x, y in batches]
    with Worker(system, settings, (first, second)) as worker:
        return [worker.step() for _ in range(runs)]


def slope(pairs: Sequence[tuple[float, float]]) -> float:
    """The exponent of a power law fitted to two or more pairs of size and cost."""
    sizes, costs = zip(*pairs, strict=True)
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    ).slope


def point_table(name: str, points: Sequence[Point]) -> str:
    """Sizes and costs of the points of a sweep."""
    size, size_of = AXES[name].sizes["seconds"]
    header = (
        *(name, size, "step, s", "ms for each"),
        *("added, MiB", "multiply-adds, M", "elements, M", "weights"),
    )
    rows = [
        (
            *(point.value, f"{size_of(point):.4g}", spread([s.seconds for s in point.steps])),
            *(f"{1000 * point.seconds / size_of(point):.1f}", f"{point.memory:.0f}"),
            *(f"{point.count.multiply_adds / 1e6:.1f}", f"{point.count.elements / 1e6:.1f}"),
            f"{point.count.weights:,}",
        )
        for point in points
    ]
    return table(header, rows)


def growth(name: str, cost: str, points: Sequence[Point]) -> list[tuple[float, float]]:
    """Pairs of size and cost of a sweep."""
    _, size_of = AXES[name].sizes[cost]
    return [(size_of(point), COSTS[cost](point)) for point in points]


def exponent_table(sweeps: Mapping[str, Sequence[Point]]) -> str:
    """How the costs of each axis grow, and whether that is linear or better."""
    header = ("axis", "cost", "against", "exponent", "between the largest two", "linear or better")
    rows = []
    for name, points in sweeps.items():
        for cost, (size, _) in AXES[name].sizes.items():
            pairs = growth(name, cost, points)
            whole, last = slope(pairs), slope(pairs[-2:])
            verdict = "yes" if round(whole, 2) <= 1 else "NO"
            rows.append((name, cost, size, f"{whole:.2f}", f"{last:.2f}", verdict))
    return table(header, rows)


def draw(sweeps: Mapping[str, Sequence[Point]]) -> Figure:
    """A panel per axis: costs over sizes, each in multiples of its first; grey is linear."""
    figure = Figure(figsize=(2.6 * len(sweeps), 2.9), dpi=160, layout="constrained")
    for panel, (name, points) in enumerate(sweeps.items(), start=1):
        axes = figure.add_subplot(1, len(sweeps), panel, title=name)
        for cost, style in STYLES.items():
            pairs = growth(name, cost, points)
            sizes = [size / pairs[0][0] for size, _ in pairs]
            costs = [paid / pairs[0][1] for _, paid in pairs]
            axes.plot(sizes, sizes, color="#b0b0b0", linewidth=1)
            axes.plot(sizes, costs, style, label=cost, markersize=4)
        axes.set(xscale="log", yscale="log", xlabel="size, times the smallest")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(base=2))
            axis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    figure.axes[0].set_ylabel("cost, times the smallest's")
    figure.axes[0].legend(frameon=False)
    return figure


def prefix(text: str) -> tuple[str, ...]:
    """So many candidates."""
    return CANDIDATES[: int(text)]


def plan(options: argparse.Namespace, base: Settings) -> dict[str, dict[int, Settings]]:
    """Axis -> value -> settings; ends the program if some make no sense."""
    sweeps: dict[str, dict[int, Settings]] = {}
    for name in AXES:
        values = sorted(set(getattr(options, f"sweep_{name}")))
        if len(values) == 1 or (values and values[0] < 1):
            refuse(f"--sweep-{name} needs two or more values of at least 1, or none")
        if name == "candidates" and values and not 2 <= values[0] <= values[-1] <= len(CANDIDATES):
            refuse(f"--sweep-candidates: from 2 to {len(CANDIDATES)}, got {values}")
        if values:
            sweeps[name] = {value: varied(base, name, value) for value in values}
    if not sweeps:
        refuse("nothing to measure: every --sweep is empty")
    return sweeps


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table per axis and the exponents; draws them if a path is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_settings(parser, runs=5)
    parser.add_argument("--candidates", type=prefix, default=CANDIDATES, help="how many")
    parser.add_argument("--system", choices=OWN, default="folded")
    for name, axis in AXES.items():
        parser.add_argument(f"--sweep-{name}", type=int, nargs="*", default=axis.values)
    parser.add_argument("--plot", type=Path, help="where to draw the sweeps, .png or .svg")
    options = parser.parse_args(arguments)
    if options.plot and options.plot.suffix.lower() not in (".png", ".svg"):
        refuse(f"--plot is written as .png or .svg, got {options.plot}")
    if options.plot:
        check_output("--plot", options.plot)
    base = read_settings(options, darts_space(cells=4))
    planned = plan(options, base)
    largest = max(base.batch, *planned.get("batch", ()), 1)
    batches, source = digits(largest, base.size)
    print(f"{describe(base, options.runs, source)} System: {options.system}.", flush=True)
    measured: dict[Settings, list[Step]] = {}  # the base belongs to every axis
    sweeps: dict[str, list[Point]] = {}
    for name, settings_of in planned.items():
        for settings in settings_of.values():
            if settings not in measured:
                measured[settings] = measure(options.system, settings, batches, options.runs)
        sweeps[name] = [
            Point(value, settings, count(settings), measured[settings])
            for value, settings in settings_of.items()
        ]
        print(f"\n{point_table(name, sweeps[name])}", flush=True)
    print(f"\n{exponent_table(sweeps)}")
    if options.plot:
        save(draw(sweeps), options.plot)


if __name__ == "__main__":
    main()
