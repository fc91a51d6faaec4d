"""Tables of measured costs as files, so that a device is measured once, or somewhere else."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_lite.costs import COSTS, CostTable
from darts_lite.files import write_text
from darts_lite.search_space import SearchSpace

FORMAT = "darts_lite/costs"


def kept_costs(
    path: str | Path,
    space: SearchSpace,
    cost: str,
    in_channels: int,
    num_classes: int,
    image_size: int,
    device: torch.device | str = "cpu",
) -> CostTable:
    """The table that a file holds; where there is no such file, it is measured and written.

    Args:
        path: Of a JSON file.
        space: Whose operations.
        cost: A name of `darts_lite.costs.COSTS`.
        in_channels, num_classes, image_size: Of the data; images are square.
        device: Where to measure.

    Raises:
        ValueError: if the file is no such table, or that of another space, cost or kind of images.
        OSError: if it cannot be read or written.
    """
    about = {
        "cost": cost,
        "space": json.loads(json.dumps(space.to_dict())),
        "images": [in_channels, image_size, image_size],
        "classes": num_classes,
    }
    path = Path(path)
    if path.exists():
        return _read(path, space, about)
    table = CostTable.measure(
        space, COSTS[cost], in_channels, num_classes, image_size, device=device
    )
    edges = {kind: rows.tolist() for kind, rows in table.edges.items()}
    content = {"format": FORMAT, **about, "device": str(device), "edges": edges, "rest": table.rest}
    write_text(path, json.dumps(content, indent=1) + "\n")
    return table


def _read(path: Path, space: SearchSpace, about: Mapping[str, Any]) -> CostTable:
    try:
        content = json.loads(path.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no table of costs; delete it to have one measured")
    for name, wanted in about.items():
        if content.get(name) != wanted:
            raise ValueError(
                f"{path} is a table for another {name}; delete it to have one measured for this "
                "search, or name another file"
            )
    shape = (sum(space.edges_per_node), len(space.candidates))
    edges, rest = content.get("edges"), content.get("rest", "")
    kinds = edges if isinstance(edges, dict) else {}
    if list(kinds) != list(space.skeleton.kinds) or not _is_number(rest):
        raise ValueError(f"{path} is no whole table of costs; delete it to have one measured")
    rows = {kind: _rows(path, kind, value, shape) for kind, value in kinds.items()}
    # A measured rest may be below 0: a whole net takes less than its parts one by one.
    return CostTable(space, rows, float(rest))


def _rows(path: Path, kind: str, value: Any, shape: tuple[int, int]) -> Tensor:
    edges, candidates = shape
    whole = isinstance(value, Sequence) and len(value) == edges
    for row in value if whole else ():
        whole = whole and isinstance(row, Sequence) and len(row) == candidates
        whole = whole and all(_is_number(cost) and cost >= 0 for cost in row)
    if not whole:
        raise ValueError(
            f"{path}: the costs of {kind} cells must be {edges} lists of {candidates} numbers of "
            "at least 0; delete the file to have them measured"
        )
    return torch.tensor(value, dtype=torch.float64)


def _is_number(value: Any) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)
