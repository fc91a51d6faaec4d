"""The picture of `pays.py`: accuracy of every net against each budget."""

from collections.abc import Sequence
from itertools import cycle

from matplotlib.figure import Figure
from mnist_report import scale_cost
from pays_report import ALONE, DRAWN, OF_ALL, Line, choose_families

COSTS = {"params": "parameters", "macs": "multiply-adds", "memory": "bytes of activations"}
SHARE = 0.06
"""Share of random nets that may lie below the panels, as those hardly learn."""


def plot(lines: Sequence[Line]) -> Figure:
    """Draws a row of panels for each data set: all nets found, random ones, the best families.

    Of each family made by hand the idea with the best validation of each cell is shown. The rows
    of cells on all images and of parameters alone are left out.
    """
    cells = [
        line["cell"] for line in lines if ALONE not in line["cell"] and OF_ALL not in line["cell"]
    ]
    datasets = list(dict.fromkeys(cell.split()[0] for cell in cells))
    figure = Figure(figsize=(11, 3.6 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), len(COSTS), sharey="row", squeeze=False)
    for row, dataset in zip(panels, datasets, strict=True):
        chosen = dict.fromkeys(cell for cell in cells if cell.split()[0] == dataset)
        kinds = group_nets([[line for line in lines if line["cell"] == cell] for cell in chosen])
        for panel, (key, title) in zip(row, COSTS.items(), strict=True):
            for (kind, nets), marker in zip(kinds.items(), cycle(".os^vDP*Xd<>"), strict=False):
                points = [(net[key], 100 * net["test_accuracy"]) for net in nets]
                panel.plot(*zip(*points, strict=True), marker, label=kind, fillstyle="none")
            scale_cost(panel, title)
        tests = sorted(100 * net["test_accuracy"] for nets in kinds.values() for net in nets)
        row[0].set_ylim(bottom=tests[int(SHARE * len(tests))])
        row[0].set_ylabel(f"{dataset}: test accuracy, %")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def group_nets(cells: Sequence[Sequence[Line]]) -> dict[str, list[Line]]:
    """Returns what is drawn of each kind of net, those that were drawn or found first."""
    kinds: dict[str, list[Line]] = {"random": [], "found": []}
    for lines in cells:
        for line in lines:
            if line["kind"] in DRAWN:
                kinds.setdefault(line["kind"], []).append(line)
        for family, line in choose_families(lines).items():
            kinds.setdefault(family, []).append(line)
    return {kind: nets for kind, nets in kinds.items() if nets}
