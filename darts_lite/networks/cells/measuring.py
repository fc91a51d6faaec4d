"""Measures cells: the costs of their operations, and the shapes of their maps.

A cell's cost is the sum of its edges' costs, so the cost of a net is a constant plus, for each kind
of cell, the costs of the operations that its edges keep.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from darts_lite.networks.cells.discrete import build_discrete_cells
from darts_lite.networks.cells.mixed import MixedCells, MixedOperation
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.cost_tables import CostTable, Images
from darts_lite.space.custom_operations import build_operation


def measure_cells(
    space: SearchSpace,
    name: str,
    cost: Callable[[nn.Module, Tensor], float] | None,
    images: Images,
    device: torch.device | str,
) -> CostTable:
    """Measures every operation once per stride and shape of its input.

    The device ``meta`` counts without computing. `cost` returns the cost of a module that reads a
    map ``(1, C, H, W)``. Raises ValueError if there is none.
    """
    if cost is None:
        raise ValueError(f"cells have no costs {name!r}; set a budget of another cost")
    forked = [torch.device(device)] if torch.device(device).type == "cuda" else []
    # Leaves the random generators untouched, as reading a table from a file does.
    with torch.random.fork_rng(forked):
        with torch.device(device):
            first = cast(Architecture, space.first_architecture())
            net = build_discrete_cells(first, images.channels, images.classes, False).eval()
            mixed = MixedCells(space, images.channels, images.classes)
            mixed.skeleton.eval()
            image = torch.zeros(1, images.channels, images.side, images.side)
        known: dict[tuple[str, int, torch.Size], float] = {}
        edges = {
            kind: torch.zeros(group.shape, dtype=torch.float64)
            for kind, group in space.groups.items()
        }

        def add(edge: MixedOperation, x: Tensor, row: Tensor) -> None:
            for position, candidate in enumerate(space.candidates):
                place = (candidate, edge.stride, x.shape)
                if place not in known:
                    with torch.device(device):
                        operation = build_operation(candidate, x.shape[1], edge.stride, True)
                        known[place] = cost(operation, x)
                row[position] += known[place]

        # One pass through the supernet shows each edge's stride and the shape of its input.
        for cell in mixed.skeleton.cells:
            in_order = (edge for node in cell.nodes for edge in node.edges)
            for edge, row in zip(in_order, edges[cell.kind], strict=True):
                edge.register_forward_pre_hook(
                    lambda module, inputs, row=row: add(module, inputs[0], row)
                )
        with torch.no_grad():
            mixed(image, {kind: rows.to(image) for kind, rows in edges.items()})
        # The rest is the cost of a whole net less the costs of its edges.
        table = CostTable(space.groups, edges, 0.0)
        return replace(table, rest=cost(net, image) - table.of(first))


Shape = tuple[int, int]
"""Channels and side of a map."""


class CellShapes(NamedTuple):
    """The maps of one cell of a net: its kind, its states (inputs, then nodes), and its output."""

    kind: str
    states: tuple[Shape, ...]
    output: Shape


def trace_shapes(architecture: Architecture, images: Images) -> tuple[Shape, list[CellShapes]]:
    """Returns the shape that leaves the stem, and those of each cell, without computing.

    Raises ValueError if an operation is unknown.
    """
    found: dict[nn.Module, tuple[Shape, ...]] = {}

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        maps = output if isinstance(output, list) else [output]
        found[module] = tuple((each.shape[1], each.shape[2]) for each in maps)

    with torch.random.fork_rng([]), torch.device("meta"), torch.no_grad():
        net: Any = build_discrete_cells(architecture, images.channels, images.classes, False).eval()
        parts = [net.stem, *(m for c in net.cells for m in (c, c.inputs, *c.nodes))]
        for part in parts:
            part.register_forward_hook(keep)
        net(torch.zeros(1, images.channels, images.side, images.side))
    cells = [
        CellShapes(
            cell.kind,
            (*found[cell.inputs], *(found[node][0] for node in cell.nodes)),
            found[cell][0],
        )
        for cell in net.cells
    ]
    return found[net.stem][0], cells
