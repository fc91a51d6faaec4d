"""Computes the costs of architectures from the costs of operations, without building each net.

A cell's cost is the sum of its edges' costs, so the cost of a net is a constant plus, for each kind
of cell, the costs of the operations that its edges keep. Therefore the expected cost of a search's
result is differentiable, and the best architecture within a budget can be found.
"""

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from darts_lite.networks.net import Net
from darts_lite.networks.supernet import MixedOperation, Supernet
from darts_lite.space.architecture import Architecture
from darts_lite.space.encoding import any_architecture
from darts_lite.space.operations import find_operation
from darts_lite.space.search_space import SearchSpace
from darts_lite.storage.atomic_files import write_text

FORMAT = "darts_lite/costs"

Cost = Callable[[nn.Module, Tensor], float]
"""Returns the cost of a module that reads a map ``(1, C, H, W)``."""
LATENCY_CALLS = 15
"""Number of timed calls of a module; the first third is a warm-up."""


def parameters(module: nn.Module, x: Tensor) -> float:
    """Returns the number of parameters."""
    return float(sum(parameter.numel() for parameter in module.parameters()))


def multiply_adds(module: nn.Module, x: Tensor) -> float:
    """Returns the number of multiply-adds of convolutions and linear layers."""
    training = module.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(x)
    module.train(training)
    return counter.get_total_flops() / 2


def latency(module: nn.Module, x: Tensor) -> float:
    """Returns the median time of one map on the device of `x`, in milliseconds."""
    module.eval()
    taken = []
    with torch.inference_mode():
        for _ in range(LATENCY_CALLS):
            start = time.perf_counter()
            module(x)
            if x.device.type == "cuda":
                torch.cuda.synchronize(x.device)
            taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[LATENCY_CALLS // 3 :])


COSTS: Mapping[str, Cost] = {
    "parameters": parameters,
    "multiply_adds": multiply_adds,
    "latency": latency,
}
"""Name -> cost. Parameters and multiply-adds are counted without computing; latency is measured."""


@dataclass(frozen=True)
class CostTable:
    """The costs of a space's operations in their places, and of the rest of the net.

    Attributes:
        edges: Kind of cell -> costs ``(edges, candidates)``, summed over all cells of the kind.
        rest: Cost of stem, preprocessing and classifier.
    """

    space: SearchSpace
    edges: dict[str, Tensor]
    rest: float

    @classmethod
    def measure(
        cls,
        space: SearchSpace,
        cost: Cost,
        in_channels: int,
        num_classes: int,
        image_size: int,
        device: torch.device | str = "meta",
    ) -> "CostTable":
        """Measures every operation once per stride and shape of its input.

        The device ``meta`` counts without computing. Images are square.
        """
        forked = [torch.device(device)] if torch.device(device).type == "cuda" else []
        # Leaves the random generators untouched, as reading a table from a file does.
        with torch.random.fork_rng(forked):
            with torch.device(device):
                net = Net(any_architecture(space), in_channels, num_classes).eval()
                supernet = Supernet(space, in_channels, num_classes).eval()
                image = torch.zeros(1, in_channels, image_size, image_size)
            known: dict[tuple[str, int, torch.Size], float] = {}
            edges = {
                kind: torch.zeros(alpha.shape, dtype=torch.float64)
                for kind, alpha in supernet.alphas.items()
            }

            def add(edge: MixedOperation, x: Tensor, row: Tensor) -> None:
                for position, name in enumerate(space.candidates):
                    place = (name, edge.stride, x.shape)
                    if place not in known:
                        with torch.device(device):
                            known[place] = cost(
                                find_operation(name)(x.shape[1], edge.stride, True), x
                            )
                    row[position] += known[place]

            # One pass through the supernet shows each edge's stride and the shape of its input.
            cells: Any = supernet.skeleton.cells
            for cell in cells:
                mixed = [edge for node in cell.nodes for edge in node.edges]
                for edge, row in zip(mixed, edges[cell.kind], strict=True):
                    edge.register_forward_pre_hook(
                        lambda module, inputs, row=row: add(module, inputs[0], row)
                    )
            with torch.no_grad():
                supernet(image, dict(supernet.alphas.items()))
            # The rest is the cost of a whole net less the costs of its edges.
            table = cls(space, edges, 0.0)
            return cls(space, edges, cost(net, image) - table.of(net.architecture))

    def of(self, architecture: Architecture) -> float:
        """Returns the cost of the net of an architecture of this space."""
        total = self.rest
        for kind, cell in architecture.cells.items():
            nodes = self.edges[kind].split(list(self.space.edges_per_node))
            for rows, edges in zip(nodes, cell, strict=True):
                for name, source in edges:
                    total += float(rows[source, self.space.candidates.index(name)])
        return total

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        """Returns the expected cost if shares were probabilities; differentiable.

        Each edge has a candidate with the probability of its share among those that may be chosen.
        If a node keeps k of its edges, it keeps each with a probability in proportion to the sum of
        the shares of its candidates other than ``none``, k on average. Shares: kind of cell ->
        ``(edges, candidates)``.
        """
        total = torch.zeros((), dtype=torch.float64)
        for kind, rows in shares.items():
            per_node = list(self.space.edges_per_node)
            costs = self.edges[kind].to(rows.device).split(per_node)
            for shared, cost in zip(rows.double().split(per_node), costs, strict=True):
                total = total.to(rows.device) + self._expect_node(shared, cost)
        return total + self.rest

    def _expect_node(self, shares: Tensor, costs: Tensor) -> Tensor:
        kept = self.space.kept_edges
        if kept is None:
            return (shares / shares.sum(dim=1, keepdim=True) * costs).sum()
        chosen = torch.tensor([name != "none" for name in self.space.candidates])
        shares = shares * chosen.to(shares.device)
        strengths = shares.sum(dim=1)  # (edges,)
        # Expected cost of each edge if it is kept, times the probability that it is kept.
        each = (shares * costs).sum(dim=1) / strengths
        return (kept * strengths / strengths.sum() * each).sum()


def kept_costs(
    path: str | Path,
    space: SearchSpace,
    cost: str,
    in_channels: int,
    num_classes: int,
    image_size: int,
    device: torch.device | str = "cpu",
) -> CostTable:
    """Reads a table of one of the `COSTS` from a JSON file, or measures and writes it if absent.

    Raises:
        ValueError: if the file is not a table, or is for another space, cost or kind of images.
    """
    about = {
        "cost": cost,
        "space": json.loads(json.dumps(space.to_dict())),
        "images": [in_channels, image_size, image_size],
        "classes": num_classes,
    }
    path = Path(path)
    if path.exists():
        return _read_table(path, space, about)
    table = CostTable.measure(space, COSTS[cost], in_channels, num_classes, image_size, device)
    edges = {kind: rows.tolist() for kind, rows in table.edges.items()}
    content = {"format": FORMAT, **about, "device": str(device), "edges": edges, "rest": table.rest}
    write_text(path, json.dumps(content, indent=1) + "\n")
    return table


def _read_table(path: Path, space: SearchSpace, about: Mapping[str, Any]) -> CostTable:
    try:
        content = json.loads(path.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a table of costs; delete it to measure a new one")
    for name, wanted in about.items():
        if content.get(name) != wanted:
            raise ValueError(
                f"{path} is a table for another {name}; delete it to measure a new one, or name "
                "another file"
            )
    shape = (sum(space.edges_per_node), len(space.candidates))
    edges, rest = content.get("edges"), content.get("rest", "")
    kinds = edges if isinstance(edges, dict) else {}
    if list(kinds) != list(space.skeleton.kinds) or not _is_number(rest):
        raise ValueError(f"{path} is an incomplete table of costs; delete it to measure a new one")
    rows = {kind: _read_rows(path, kind, value, shape) for kind, value in kinds.items()}
    # A measured rest may be below 0, because a whole net may be faster than its parts one by one.
    return CostTable(space, rows, float(rest))


def _read_rows(path: Path, kind: str, value: Any, shape: tuple[int, int]) -> Tensor:
    edges, candidates = shape
    rows: Sequence[Any] = value if isinstance(value, Sequence) and len(value) == edges else [None]
    whole = all(isinstance(row, Sequence) and len(row) == candidates for row in rows)
    if not whole or not all(_is_number(cost) and cost >= 0 for row in rows for cost in row):
        raise ValueError(
            f"{path}: the costs of {kind} cells must be {edges} lists of {candidates} numbers of "
            "at least 0; delete the file to measure them anew"
        )
    return torch.tensor(value, dtype=torch.float64)


def _is_number(value: Any) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)
