"""From a supernet's architecture parameters to its mixing weights, and to what ranks candidates."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from darts_lite.networks.supernet import Supernet
from darts_lite.search.relaxations import Relaxation


class Mixture:
    """What a relaxation makes of a supernet's alphas, with edge weights and auxiliary skips.

    Where edges have weights, candidates are mixed and ranked by the product of both, and the
    channels that pass are mixed by those of the edges (PC-DARTS, arXiv 1907.05737, equation 3 and
    section 3.2).

    Args:
        supernet: Whose parameters these are.
        relaxation: Of the alphas.
        auxiliary_skip: Mixing weight of the auxiliary skip connections at the start; it falls
            linearly to 0 over the search (DARTS-, arXiv 2009.01027, equation 6). Read only where
            the supernet has them.
    """

    def __init__(
        self, supernet: Supernet, relaxation: Relaxation, auxiliary_skip: float = 0.0
    ) -> None:
        self.supernet, self.relaxation, self.auxiliary_skip = supernet, relaxation, auxiliary_skip

    @property
    def deterministic(self) -> bool:
        """Whether mixing weights depend on the parameters alone, not on draws or progress."""
        return self.relaxation.deterministic and not self.supernet.auxiliary_skip

    def parameters(self) -> list[nn.Parameter]:
        """All architecture parameters: the alphas, then those of edges."""
        return [*self.supernet.alphas.values(), *self.supernet.edge_alphas.values()]

    def drawn(self, progress: float) -> dict[str, Tensor]:
        """Differentiable mixing weights for one training step, kind of cell -> rows.

        Args:
            progress: How much of the search is done, 0 to 1.
        """
        alphas = self.supernet.alphas
        rows = {k: self.relaxation.mixing_weights(alpha, progress) for k, alpha in alphas.items()}
        return self._completed(self._edge_weighted(rows), progress)

    def expected(self, progress: float) -> dict[str, Tensor]:
        """Mixing weights for validation, without a graph."""
        with torch.no_grad():
            return self._completed(self.ranking(), progress)

    def shares(self) -> dict[str, Tensor]:
        """What ranks the candidates, kind of cell -> ``(edges, candidates)``, without a graph."""
        with torch.no_grad():
            return self.ranking()

    def ranking(self) -> dict[str, Tensor]:
        """`shares`, differentiable in the alphas and the edge weights."""
        alphas = self.supernet.alphas
        return self._edge_weighted({k: self.relaxation.shares(a) for k, a in alphas.items()})

    def _edge_weighted(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        edges = self._edge_shares()
        return {k: row * edges[k] if k in edges else row for k, row in rows.items()}

    def _edge_shares(self) -> dict[str, Tensor]:
        """Kind of cell -> ``(edges, 1)``; empty where edges have no weights."""
        per_node, edges = self.supernet.space.edges_per_node, self.supernet.edge_alphas
        return {k: node_softmax(alphas, per_node).unsqueeze(1) for k, alphas in edges.items()}

    def _completed(self, rows: dict[str, Tensor], progress: float) -> dict[str, Tensor]:
        """With a column for the auxiliary skip, and one for channels that pass, if there are."""
        if self.supernet.auxiliary_skip:
            weight = self.auxiliary_skip * (1 - progress)
            rows = {k: pad(row, (0, 1), value=weight) for k, row in rows.items()}
        if self.supernet.partial_channels > 1:
            edges = self._edge_shares()
            rows = {
                k: torch.cat([row, edges[k]], 1) if k in edges else row for k, row in rows.items()
            }
        return rows


def node_softmax(edge_alphas: Tensor, edges_per_node: Sequence[int]) -> Tensor:
    """Softmax over the edges that enter one node, ``(edges,)`` -> ``(edges,)``."""
    return torch.cat([node.softmax(dim=0) for node in edge_alphas.split(list(edges_per_node))])
