"""Searches in the space of NAS-Bench-201, judged by its table.

``--table`` names a CSV file of its results; the README says where to get one.

Random search, local search and regularised evolution see the validation accuracy after 12 epochs,
and are judged by the test accuracy after 200 epochs of the architecture that they saw the best
value of. Only distinct evaluations count.

    python benchmarks/nasbench201.py --table nasbench201.csv

Results: docs/benchmarks/methods.md.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from random import Random

from darts_lite.search.exploration.strategies import (
    Evolution,
    LocalSearch,
    RandomSearch,
    Strategy,
    explore,
)
from darts_lite.space.cells.nasbench201 import DATASETS, OPERATIONS, Result, read_table, write_cell
from darts_lite.space.groups import Point

NODES = 3
SIZES = (len(OPERATIONS),) * (NODES * (NODES + 1) // 2)
"""Choices of a point: an operation for each edge, in the order of the strings."""
STRATEGIES: Mapping[str, Callable[[], Strategy]] = {
    "random search": RandomSearch,
    "local search": LocalSearch,
    "evolution": Evolution,
}


def cell_of(point: Point) -> str:
    """Returns the string of a point of the benchmark's space."""
    choices = iter(point)
    nodes = range(1, NODES + 1)
    return write_cell([[(OPERATIONS[next(choices)], s) for s in range(node)] for node in nodes])


def found(
    table: Mapping[str, Result],
    make: Callable[[], Strategy],
    dataset: str,
    evaluations: Sequence[int],
    seed: int,
) -> list[Result]:
    """The architecture with the best validation accuracy after so many evaluations each."""

    def validation(point: Point) -> float:
        return table[cell_of(point)].validation[dataset]

    values = explore(make(), SIZES, validation, Random(seed), {})
    seen = list(islice(values, max(evaluations)))
    best = [max(seen[:count], key=lambda pair: pair[1])[0] for count in evaluations]
    return [table[cell_of(point)] for point in best]


def row(name: str, dataset: str, count: int, results: Sequence[Result]) -> str:
    """A line of the table."""
    tests = [result.test[dataset] for result in results]
    mean, spread = statistics.mean(tests), statistics.stdev(tests) if len(tests) > 1 else 0.0
    error = spread / len(tests) ** 0.5
    return f"| {name} | {dataset} | {count} | {mean:.2f} | {error:.3f} | {min(tests):.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints mean test accuracies of all strategies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", required=True, help="CSV file of the benchmark's results")
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[50, 100, 300])
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    options = parser.parse_args(arguments)
    if options.seeds < 1 or min(options.evaluations) < 1:
        parser.error("--seeds and --evaluations must be at least 1")
    try:
        table = read_table(options.table)
    except (FileNotFoundError, ValueError) as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from None
    print("| search | data | evaluations | test accuracy, mean | standard error | least |")
    print("| --- | --- | --- | --- | --- | --- |")
    for dataset in options.datasets:
        for name, make in STRATEGIES.items():
            runs = [
                found(table, make, dataset, options.evaluations, seed)
                for seed in range(options.seeds)
            ]
            for count, results in zip(options.evaluations, zip(*runs, strict=True), strict=True):
                print(row(name, dataset, count, results), flush=True)


if __name__ == "__main__":
    main()
