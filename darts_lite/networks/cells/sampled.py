"""The executor for relaxations that draw one candidate of each edge."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from darts_lite.networks.cells.mixed import CellRunner, MixedCell, sum_maps


class Sampled:
    """Runs only candidates whose mixing weight is not 0, for relaxations that draw one per edge.

    Mixing weights are copied to the processor for that, once per cell.
    """

    def runner_of(self, cell: MixedCell) -> CellRunner:
        return SampledCell(cell)


class SampledCell:
    """A mixed cell that leaves out candidates with the mixing weight 0."""

    def __init__(self, cell: MixedCell) -> None:
        self.cell = cell

    def __call__(self, inputs: Sequence[Tensor], mixing: Tensor) -> Tensor:
        cell = self.cell
        states = cell.inputs(*inputs)
        nodes: Any = cell.nodes
        rows_per_node = mixing.split(cell.edges_per_node)  # per node: (edges, candidates)
        used_per_node = (mixing != 0).cpu().split(cell.edges_per_node)
        for node, rows, used in zip(nodes, rows_per_node, used_per_node, strict=True):
            searched = [cell.select_searched(state) for state in states]
            terms = [
                row[position] * operation(state)
                for edge, state, row, chosen in zip(node.edges, searched, rows, used, strict=True)
                for position, operation in zip(
                    edge.positions, edge.candidates.values(), strict=True
                )
                if chosen[position]
            ]
            first, stride = searched[0], node.edges[0].stride
            mixed = sum_maps(terms) if terms else torch.zeros_like(first[:, :, ::stride, ::stride])
            states.append(cell.join(mixed, states, rows))
        return cell.concatenate_outputs(states)
