"""The executor for relaxations that draw one candidate of each edge."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from darts_lite.networks.supernet import CellRunner, MixedCell, sum_of


class Sampled:
    """Runs only the candidates whose weight is not 0, for relaxations that draw one of an edge.

    Weights come to the processor for that, once per cell.
    """

    def runner_of(self, cell: MixedCell) -> CellRunner:
        """The cell with the candidates that count."""
        return SampledCell(cell)


class SampledCell:
    """A mixed cell that leaves out what would be multiplied by 0."""

    def __init__(self, cell: MixedCell) -> None:
        self.cell = cell

    def __call__(self, inputs: Sequence[Tensor], weights: Tensor) -> Tensor:
        """See `MixedCell.forward`."""
        cell = self.cell
        states = cell.inputs(*inputs)
        nodes: Any = cell.nodes
        drawn = (weights != 0).cpu().split(cell.edges_per_node)
        for node, rows, chosen in zip(
            nodes, weights.split(cell.edges_per_node), drawn, strict=True
        ):
            searched = [cell.searched(state) for state in states]
            terms = [
                row[position] * operation(state)
                for edge, state, row, used in zip(node.edges, searched, rows, chosen, strict=True)
                for position, operation in zip(
                    edge.positions, edge.candidates.values(), strict=True
                )
                if used[position]
            ]
            first, stride = searched[0], node.edges[0].stride
            mixed = sum_of(terms) if terms else torch.zeros_like(first[:, :, ::stride, ::stride])
            states.append(cell.joined(mixed, states, rows))
        return cell.output(states)
