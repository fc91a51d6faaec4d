"""Architecture strings of NAS-Bench-201, and tables of its results.

A cell has four states; every pair of them carries one of five operations (arXiv 2001.00326, section
2.1). Its string lists, for each state after the first, the operations that enter it:
``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from darts_lite.space.cells.genotype import Cell
from darts_lite.space.operations import is_operation_name
from darts_lite.storage.paths import read_content, reading

PUBLISHED_NAMES = {"conv_1x1": "nor_conv_1x1", "conv_3x3": "nor_conv_3x3"}
"""Name in this package -> name in the benchmark, for operations whose names differ."""
STRING = re.compile(r"\|[\w.]+~0\|(?:\+(?:\|[\w.]+~\d)+\|)+")
"""A string inside of what a log writes around it."""
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
DATASETS = ("cifar10", "cifar100", "imagenet16")
COLUMNS = (
    "architecture",
    *(f"{name}_valid_12ep" for name in DATASETS),
    *(f"{name}_test_200ep" for name in DATASETS),
)


def write_cell(cell: Sequence[Sequence[tuple[str, int]]]) -> str:
    """Returns the string of a cell in which each node reads every earlier state."""
    nodes = ["".join(f"{PUBLISHED_NAMES.get(op, op)}~{source}|" for op, source in e) for e in cell]
    return "+".join(f"|{node}" for node in nodes)


def read_string(text: str) -> Cell:
    """Reads a string that `write_cell` or the benchmark wrote, with this package's names."""
    return tuple(
        tuple(_read_edges(part, node, text)) for node, part in enumerate(text.strip().split("+"), 1)
    )


def _read_edges(part: str, node: int, text: str) -> Iterator[tuple[str, int]]:
    own_names = {published: own for own, published in PUBLISHED_NAMES.items()}
    edges = part.strip("|").split("|")
    if len(edges) != node:
        raise ValueError(
            f"node {node}: expected |operation~source| {node} times, in {text[:200]!r}"
        )
    for source, edge in enumerate(edges):
        published, _, state = edge.partition("~")
        name = own_names.get(published, published)
        if not is_operation_name(name) or state != str(source):
            raise ValueError(
                f"node {node}: expected an operation, for instance one of {list(OPERATIONS)}, and "
                f"~{source}, got {edge[:50]!r} in {text[:200]!r}"
            )
        yield name, source


@dataclass(frozen=True)
class Result:
    """The accuracies of one architecture, in percent.

    Attributes:
        index: Its number in the benchmark.
        validation: Data set -> validation accuracy after 12 epochs, which a search may see.
        test: Data set -> test accuracy after 200 epochs, which a report states.
    """

    index: int
    validation: dict[str, float]
    test: dict[str, float]


def read_table(path: str | Path) -> dict[str, Result]:
    """Reads a CSV file with the columns ``index`` and `COLUMNS`: architecture string -> result."""
    if not Path(path).exists():
        raise FileNotFoundError(f"no table at {path}; give a CSV file of NAS-Bench-201's results")
    with reading(Path(path)):
        text = read_content(Path(path)).decode(errors="replace")
    rows = csv.DictReader(StringIO(text, newline=""))
    missing = [name for name in ("index", *COLUMNS) if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"{path} lacks the columns {missing}")
    table = {}
    try:
        for row in rows:
            table[write_cell(read_string(row["architecture"]))] = _read_result(row)
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise ValueError(f"{path}: line {rows.line_num} is not a result ({error})") from error
    return table


def _read_result(row: dict[str, str]) -> Result:
    return Result(
        int(row["index"]),
        {name: float(row[f"{name}_valid_12ep"]) for name in DATASETS},
        {name: float(row[f"{name}_test_200ep"]) for name in DATASETS},
    )
