"""The table of `pays.py`: tests, intervals, and what the same time buys otherwise."""

import math
from collections.abc import Mapping, Sequence
from random import Random
from statistics import fmean, median, stdev
from typing import Any

from search_step import table

DRAWS = 10_000
"""Number of permutations, bootstrap samples, and resampled choices of the best of n."""
ALONE = "parameters alone"
"""In the names of cells whose nets stand beside published ones."""
OF_ALL = "all images"
"""In the names of cells that train with all of them."""
DRAWN = ("found", "random", "peer")
"""Kinds of rows that are not families made by hand."""
BY_HAND, AGAIN = "by hand", "again"
"""Those rows, and the end of the kinds of those in which the best ideas are trained anew."""
Line = Mapping[str, Any]


def permute(first: Sequence[float], second: Sequence[float], random: Random) -> float:
    """Returns the two-sided p-value of a difference of means, by permuting nets."""
    difference, joint = abs(fmean(first) - fmean(second)), [*first, *second]
    as_far = 0
    for _ in range(DRAWS):
        random.shuffle(joint)
        drawn = fmean(joint[: len(first)]) - fmean(joint[len(first) :])
        as_far += abs(drawn) >= difference - 1e-12
    return (1 + as_far) / (1 + DRAWS)


def correct(values: Mapping[str, float]) -> dict[str, float]:
    """Returns p-values corrected for their number (Holm, 1979)."""
    found: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(values, key=lambda each: values[each])):
        largest = max(largest, min(1.0, (len(values) - place) * values[name]))
        found[name] = largest
    return found


def bootstrap(
    first: Sequence[float], second: Sequence[float], random: Random
) -> tuple[float, float]:
    """Returns the 95 % interval of a difference of means, by resampling nets."""
    drawn = sorted(
        fmean(random.choices(first, k=len(first))) - fmean(random.choices(second, k=len(second)))
        for _ in range(DRAWS)
    )
    return drawn[int(0.025 * DRAWS)], drawn[int(0.975 * DRAWS)]


def chance_above(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns the probability that one of the first is above one of the second; ties are half."""
    return fmean((a > b) + 0.5 * (a == b) for a in first for b in second)


def best_of(lines: Sequence[Line], count: int, random: Random) -> float:
    """Returns the mean test accuracy of the best of `count` random nets by validation."""
    drawn = (random.sample(lines, min(count, len(lines))) for _ in range(DRAWS))
    return fmean(
        max(each, key=lambda one: one["validation_accuracy"])["test_accuracy"] for each in drawn
    )


def choose_families(lines: Sequence[Line]) -> dict[str, Line]:
    """Returns of each family made by hand the idea with the best validation.

    Its test accuracy is the mean of the trainings that it was given anew, if there are any: its
    first one was the best of several.
    """
    found: dict[str, Line] = {}
    for line in lines:
        if line["kind"] not in DRAWN and AGAIN not in line["kind"]:
            best = found.get(line["kind"], line)
            found[line["kind"]] = max(best, line, key=lambda one: one["validation_accuracy"])
    for kind, best in found.items():
        anew = [
            line["test_accuracy"]
            for line in lines
            if line["kind"] == f"{kind}, {AGAIN}" and line["architecture"] == best["architecture"]
        ]
        if anew:
            found[kind] = {**best, "test_accuracy": fmean(anew)}
    return found


def describe_cell(lines: Sequence[Line], random: Random) -> dict[str, Any] | None:
    """Returns the row of a cell; None before there are nets to compare."""
    searches = [line for line in lines if line["kind"] == "found"]
    peer = [100 * line["test_accuracy"] for line in lines if line["kind"] == "peer"]
    rivals = [line for line in lines if line["kind"] == "random"]
    if len(searches) < 2 or len(rivals) < 2:
        return None
    found, others = ([100 * line["test_accuracy"] for line in each] for each in (searches, rivals))
    training = median(line["seconds"] for line in rivals)
    own = median(line["search_seconds"] + line["seconds"] for line in searches)
    count = max(1, math.ceil(own / training))
    low, high = bootstrap(found, others, random)
    ratio = median(line["search_seconds"] / line["seconds"] for line in searches)
    return {
        "found": f"{fmean(found):.2f} ({stdev(found):.2f}, {len(found)})",
        "random": f"{fmean(others):.2f} ({stdev(others):.2f}, {len(others)})",
        "best random": f"{max(others):.2f}",
        "difference": f"{low:+.2f} to {high:+.2f}",
        "p": permute(found, others, random),
        "P(found > random)": f"{chance_above(found, others):.2f}",
        "best of n": f"{100 * best_of(rivals, count, random):.2f} (n = {count})",
        "search / training": f"{ratio:.1f}",
        "peer": f"{fmean(peer):.2f} ({len(peer)})" if peer else "-",
    }


def report_nets(lines: Sequence[Line]) -> str:
    """Returns the table of nets trained on all images, each of them, beside published ones."""
    rows = []
    for cell, kind in dict.fromkeys((line["cell"], line["kind"]) for line in lines):
        nets = [line for line in lines if (line["cell"], line["kind"]) == (cell, kind)]
        shown = [f"{100 * line['test_accuracy']:.2f}" for line in nets]
        mean = 100 * fmean(line["test_accuracy"] for line in nets)
        costs = [
            f"{middle(nets, name):,.0f}" if any(name in line for line in nets) else "-"
            for name in ("params", "macs", "memory")
        ]
        minutes = median(line["seconds"] + line.get("search_seconds", 0) for line in nets) / 60
        rows.append([cell, kind, f"{mean:.2f} ({', '.join(shown)})", *costs, f"{minutes:.0f}"])
    costs = ["parameters", "multiply-adds", "bytes of activations"]
    head = ["cell", "nets", "test accuracy", *costs, "minutes"]
    return table(head, rows)


def report(lines: Sequence[Line]) -> str:
    """Returns the table of all cells."""
    lines = sorted(lines, key=place_of)
    every = [line for line in lines if OF_ALL in line["cell"]]
    compared = {line["cell"] for line in lines if line["kind"] == "random"}
    lines = [line for line in lines if line["cell"] in compared]
    tables = [report_cells(lines), report_costs(lines), report_families(lines)]
    tables += [report_nets(every)] if every else []
    return "\n\n".join(tables)


def place_of(line: Line) -> tuple[str, str, int]:
    """Returns where a line stands in the tables: by data set, images, and parameters."""
    name, _, images = line["cell"].partition(",")
    dataset, parameters, *alone = name.split()
    return " ".join([images, *alone]), dataset, int(parameters)


def report_cells(lines: Sequence[Line]) -> str:
    """Returns the table of the cells with random nets in them."""
    random = Random(0)
    cells = list(dict.fromkeys(line["cell"] for line in lines))
    rows = {
        cell: describe_cell([one for one in lines if one["cell"] == cell], random) for cell in cells
    }
    known = {cell: row for cell, row in rows.items() if row is not None}
    if not known:
        return "there are too few rows yet"
    corrected = correct({cell: row["p"] for cell, row in known.items()})
    for cell, row in known.items():
        row["p"] = f"{corrected[cell]:.4f}"
    head = ["cell", *next(iter(known.values()))]
    return table(head, [[cell, *row.values()] for cell, row in known.items()])


def report_costs(lines: Sequence[Line]) -> str:
    """Returns the table of what the nets of each cell cost, those that were drawn or found."""
    rows = []
    for cell, kind in dict.fromkeys((line["cell"], line["kind"]) for line in lines):
        nets = [line for line in lines if (line["cell"], line["kind"]) == (cell, kind)]
        if kind in DRAWN:
            costs = [f"{middle(nets, name):,.0f}" for name in ("params", "macs", "memory")]
            minutes = [middle(nets, "seconds") / 60]
            minutes += [middle(nets, "search_seconds") / 60] if kind != "random" else []
            rows.append([f"{cell}, {kind}", *costs, ", ".join(f"{one:.1f}" for one in minutes)])
    costs = ["parameters", "multiply-adds", "bytes of activations"]
    return table(["median of a net", *costs, "minutes of training, and of the search"], rows)


def middle(lines: Sequence[Line], name: str) -> float:
    """Returns the median of a value of all lines that have it."""
    return median(line[name] for line in lines if name in line)


def report_families(lines: Sequence[Line]) -> str:
    """Returns the table of the best ideas of each family made by hand, beside what was found."""
    cells: dict[str, dict[str, str]] = {}
    for cell in dict.fromkeys(line["cell"] for line in lines):
        own = [line for line in lines if line["cell"] == cell]
        shown = {kind: line["test_accuracy"] for kind, line in choose_families(own).items()}
        found = [line["test_accuracy"] for line in own if line["kind"] == "found"]
        shown |= {"found": fmean(found)} if found else {}
        cells[cell] = {kind: f"{100 * value:.2f}" for kind, value in shown.items()}
    kinds = dict.fromkeys(kind for shown in cells.values() for kind in shown)
    rows = [[kind, *(shown.get(kind, "-") for shown in cells.values())] for kind in kinds]
    return table(["by hand", *cells], rows)
