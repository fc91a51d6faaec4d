"""What architectures cost, from what their operations cost, without building each one's net.

A cell's cost is the sum of its edges' costs, so the cost of a net is a constant plus, for each kind
of cell, the costs of the operations that its edges keep. That makes the expected cost of what a
search would derive differentiable, and the best architecture within a budget findable.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from darts_lite.architecture import Architecture
from darts_lite.encoding import any_architecture
from darts_lite.net import Net
from darts_lite.operations import find_operation
from darts_lite.search_space import SearchSpace
from darts_lite.supernet import MixedOperation, Supernet

Cost = Callable[[nn.Module, Tensor], float]
"""Of a module that reads a map ``(1, C, H, W)``."""


def parameters(module: nn.Module, x: Tensor) -> float:
    """Number of parameters."""
    return float(sum(parameter.numel() for parameter in module.parameters()))


def multiply_adds(module: nn.Module, x: Tensor) -> float:
    """Multiply-adds of convolutions and linear layers."""
    training = module.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(x)
    module.train(training)
    return counter.get_total_flops() / 2


def latency(module: nn.Module, x: Tensor) -> float:
    """Median milliseconds of one map on the device of `x`, of some calls after a warm-up."""
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


LATENCY_CALLS = 15
COSTS: Mapping[str, Cost] = {
    "parameters": parameters,
    "multiply_adds": multiply_adds,
    "latency": latency,
}
"""Parameters and multiply-adds are counted without computing; latency is measured."""


@dataclass(frozen=True)
class CostTable:
    """Costs of a space's operations in their places, and of all else.

    Attributes:
        edges: Kind of cell -> ``(edges, candidates)``, summed over all cells of the kind.
        rest: Stem, preprocessing, classifier.
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
        """Asks for the cost of every operation once per place.

        Args:
            space: Whose operations.
            cost: What to measure; one of `COSTS`, for instance.
            in_channels, num_classes, image_size: Of the data; images are square.
            device: Where to measure; ``meta`` counts without computing.
        """
        own = [torch.device(device)] if torch.device(device).type == "cuda" else []
        with torch.random.fork_rng(own):  # a table that was kept draws nothing
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

            cells: Any = supernet.skeleton.cells
            for cell in cells:
                mixed = [edge for node in cell.nodes for edge in node.edges]
                for edge, row in zip(mixed, edges[cell.kind], strict=True):
                    edge.register_forward_pre_hook(
                        lambda module, inputs, row=row: add(module, inputs[0], row)
                    )
            with torch.no_grad():
                supernet(image, dict(supernet.alphas.items()))
            table = cls(space, edges, 0.0)
            return cls(space, edges, cost(net, image) - table.of(net.architecture))

    def of(self, architecture: Architecture) -> float:
        """The cost of a net of this space."""
        total = self.rest
        for kind, cell in architecture.cells.items():
            nodes = self.edges[kind].split(list(self.space.edges_per_node))
            for rows, edges in zip(nodes, cell, strict=True):
                for name, source in edges:
                    total += float(rows[source, self.space.candidates.index(name)])
        return total

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        """The cost of what would be derived if shares were probabilities; differentiable.

        Each edge has a candidate with the probability of its share among those that may be chosen.
        A node that keeps k of its edges keeps each with a probability in proportion to what its
        candidates other than ``none`` have in all, k on average.

        Args:
            shares: Kind of cell -> ``(edges, candidates)``.
        """
        total = torch.zeros((), dtype=torch.float64)
        for kind, rows in shares.items():
            per_node = list(self.space.edges_per_node)
            costs = self.edges[kind].to(rows.device).split(per_node)
            for shared, cost in zip(rows.double().split(per_node), costs, strict=True):
                total = total.to(rows.device) + self._expected_of_node(shared, cost)
        return total + self.rest

    def _expected_of_node(self, shares: Tensor, costs: Tensor) -> Tensor:
        kept = self.space.kept_edges
        if kept is None:
            return (shares / shares.sum(dim=1, keepdim=True) * costs).sum()
        chosen = torch.tensor([name != "none" for name in self.space.candidates])
        shares = shares * chosen.to(shares.device)
        strengths = shares.sum(dim=1)  # (edges,)
        each = (shares * costs).sum(dim=1) / strengths
        return (kept * strengths / strengths.sum() * each).sum()
