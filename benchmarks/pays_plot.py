"""The picture of `pays.py`: accuracy of every net against each budget."""

from collections.abc import Sequence
from itertools import chain, cycle

from matplotlib.figure import Figure
from mnist_report import scale_cost
from pays_report import ALONE, DRAWN, OF_ALL, Line, choose_families

COSTS = {"params": "parameters", "macs": "multiply-adds", "memory": "bytes of activations"}
MARKERS = ".os^vDP*Xd<>"
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
    shown = []
    for dataset in datasets:
        chosen = dict.fromkeys(cell for cell in cells if cell.split()[0] == dataset)
        shown.append(group_nets([[one for one in lines if one["cell"] == cell] for cell in chosen]))
    styles = dict(zip(dict.fromkeys(chain(*shown)), cycle(enumerate(MARKERS)), strict=False))
    legend = {}
    for row, dataset, kinds in zip(panels, datasets, shown, strict=True):
        for panel, (key, title) in zip(row, COSTS.items(), strict=True):
            for kind, nets in kinds.items():
                place, marker = styles[kind]  # the same in all panels
                points = [(net[key], 100 * net["test_accuracy"]) for net in nets]
                (legend[kind],) = panel.plot(
                    *zip(*points, strict=True), marker, color=f"C{place}", fillstyle="none"
                )
            scale_cost(panel, title)
        tests = sorted(100 * net["test_accuracy"] for nets in kinds.values() for net in nets)
        row[0].set_ylim(bottom=tests[int(SHARE * len(tests))])
        row[0].set_ylabel(f"{dataset}: test accuracy, %")
    figure.legend([*legend.values()], [*legend], loc="outside lower center", ncols=6)
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
