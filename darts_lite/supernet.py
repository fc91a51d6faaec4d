"""The supernet: every candidate on every edge, mixed by weights that come from outside."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from darts_lite.operations import find_operation
from darts_lite.search_space import CELL_INPUTS, SearchSpace
from darts_lite.skeleton import CellInputs, CellPlan, Skeleton


class MixedOperation(nn.Module):
    """An edge: ``sum_o weight_o * op_o(x)`` (DARTS, arXiv 1806.09055, equation 2)."""

    def __init__(self, candidates: Sequence[str], channels: int, stride: int) -> None:
        super().__init__()
        self.candidates = nn.ModuleDict(
            {
                module_key(name): find_operation(name)(channels, stride, False)
                for name in candidates
                if name != "none"  # adds zeros; its weight still counts in the softmax
            }
        )
        self.positions = [i for i, name in enumerate(candidates) if name != "none"]

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """``(B, C, H, W)`` and ``(candidates,)`` -> ``(B, C, H', W')``."""
        shares = [weights[position] for position in self.positions]
        operations = self.candidates.values()
        return sum_of(s * operation(x) for s, operation in zip(shares, operations, strict=True))


class MixedNode(nn.Module):
    """A node: the sum of its mixed edges, one from every earlier state."""

    def __init__(self, space: SearchSpace, plan: CellPlan, edges: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            MixedOperation(space.candidates, plan.channels, plan.stride(source))
            for source in range(edges)
        )

    def forward(self, states: Sequence[Tensor], weights: Tensor) -> Tensor:
        """Earlier states, each ``(B, C, H, W)``, and ``(edges, candidates)`` -> a state."""
        return sum_of(
            edge(state, row) for edge, state, row in zip(self.edges, states, weights, strict=True)
        )


class MixedCell(nn.Module):
    """A searched cell: its output is the concatenation of all its nodes."""

    def __init__(self, space: SearchSpace, plan: CellPlan) -> None:
        super().__init__()
        self.kind = plan.kind
        self.inputs = CellInputs(plan, affine=False)
        self.nodes = nn.ModuleList(MixedNode(space, plan, n) for n in space.edges_per_node)
        self.edges_per_node = space.edges_per_node
        self.out_channels = space.nodes * plan.channels

    def forward(self, before_last: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        """Two inputs and ``(edges, candidates)`` -> ``(B, nodes * C, H, W)``."""
        states = self.inputs(before_last, last)
        for node, rows in zip(self.nodes, weights.split(self.edges_per_node), strict=True):
            states.append(node(states, rows))
        return torch.cat(states[CELL_INPUTS:], dim=1)


class Supernet(nn.Module):
    """All architectures of a space at once, with the architecture parameters.

    Args:
        space: What may be chosen.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Attributes:
        alphas: Kind of cell -> parameters ``(edges, candidates)``, drawn as 1e-3 * N(0, 1).
    """

    def __init__(self, space: SearchSpace, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.space = space
        self.skeleton = Skeleton(
            space.skeleton, lambda plan: MixedCell(space, plan), in_channels, num_classes
        )
        shape = (sum(space.edges_per_node), len(space.candidates))
        self.alphas = nn.ParameterDict(
            {kind: 1e-3 * torch.randn(shape) for kind in space.skeleton.kinds}
        )

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Logits ``(B, classes)`` for mixing weights ``(edges, candidates)`` per kind of cell."""

        def run_cell(cell: MixedCell, before_last: Tensor, last: Tensor) -> Tensor:
            return cell(before_last, last, weights[cell.kind])

        return self.skeleton(images, run_cell)[0]

    def weights(self) -> list[nn.Parameter]:
        """Everything but the alphas."""
        return list(self.skeleton.parameters())


def module_key(name: str) -> str:
    """The name under which an operation's module is kept; torch allows no dots there."""
    return name.replace(".", ":")


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """Sum of at least one tensor of like shapes."""
    first, *others = terms
    return sum(others, start=first)
