"""Turns a supernet's architecture parameters into mixing weights, and into shares that rank."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from darts_lite.networks.supernet import Supernet
from darts_lite.search.relaxations import GumbelMax, Relaxation
from darts_lite.space.groups import Group

DRAWN = GumbelMax()
"""Draws one option at a time, for options that cannot be added."""


class Mixture:
    """Mixing weights and shares of a supernet: its relaxed alphas, edge weights, auxiliary skips.

    If rows have weights, which are called edge weights, options are mixed and ranked by the product
    of both, and the channels that pass are mixed by the edge weights (PC-DARTS, arXiv 1907.05737,
    equation 3 and section 3.2).

    Args:
        auxiliary_skip: Mixing weight of the auxiliary skip connections at the start; it falls
            linearly to 0 over the search (DARTS-, arXiv 2009.01027, equation 6). Read only if the
            supernet has such connections.
    """

    def __init__(
        self, supernet: Supernet, relaxation: Relaxation, auxiliary_skip: float = 0.0
    ) -> None:
        self.supernet, self.relaxation, self.auxiliary_skip = supernet, relaxation, auxiliary_skip
        # Options that cannot be added are drawn one at a time, whatever the relaxation is.
        groups = supernet.space.groups.items()
        self.alone = {k for k, group in groups if not (group.mixes or relaxation.samples)}

    @property
    def deterministic(self) -> bool:
        """True if mixing weights depend on the parameters alone, not on draws or progress."""
        drawn = self.alone or not self.relaxation.deterministic
        return not drawn and not self.supernet.auxiliary_skip

    @property
    def has_passing_column(self) -> bool:
        """True if the last column of mixing weights is that of the channels that pass."""
        return self.supernet.partial_channels > 1 and len(self.supernet.edge_alphas) > 0

    def parameters(self) -> list[nn.Parameter]:
        """Returns all architecture parameters: the alphas, then the edge weights'."""
        return [*self.supernet.alphas.values(), *self.supernet.edge_alphas.values()]

    def sample(self, progress: float) -> dict[str, Tensor]:
        """Draws differentiable mixing weights for one training step: group -> rows."""
        alphas = self.supernet.alphas
        rows = {
            k: (DRAWN if k in self.alone else self.relaxation).mixing_weights(alpha, progress)
            for k, alpha in alphas.items()
        }
        return self._add_columns(self._multiply_edge_weights(rows), progress)

    def mean(self, progress: float) -> dict[str, Tensor]:
        """Returns the mixing weights for validation, without draws and without a graph."""
        with torch.no_grad():
            rows = self.ranking()
            for name, group in self.supernet.space.groups.items():
                if not group.mixes:  # the strongest alone
                    best = rows[name].argmax(dim=1, keepdim=True)
                    rows[name] = torch.zeros_like(rows[name]).scatter_(1, best, 1.0)
            return self._add_columns(rows, progress)

    def shares(self) -> dict[str, Tensor]:
        """Returns what ranks options, without a graph: group -> ``(rows, options)``."""
        with torch.no_grad():
            return self.ranking()

    def ranking(self) -> dict[str, Tensor]:
        """Returns `shares` with a graph, differentiable in the alphas and the edge weights."""
        alphas = self.supernet.alphas
        return self._multiply_edge_weights(
            {k: self.relaxation.shares(alpha) for k, alpha in alphas.items()}
        )

    def _multiply_edge_weights(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        edges = self._compute_edge_weights()
        # (rows, options) * (rows, 1): the weight of a row scales all its options.
        return {k: row * edges[k] if k in edges else row for k, row in rows.items()}

    def _compute_edge_weights(self) -> dict[str, Tensor]:
        """Returns group -> ``(rows, 1)``; empty if rows have no weights."""
        groups, edges = self.supernet.space.groups, self.supernet.edge_alphas
        return {k: softmax_per_set(alphas, groups[k]).unsqueeze(1) for k, alphas in edges.items()}

    def _add_columns(self, rows: dict[str, Tensor], progress: float) -> dict[str, Tensor]:
        """Appends the columns of the auxiliary skip and of the channels that pass, if any."""
        # Auxiliary skip: one weight for all rows, (rows, options) -> (rows, options + 1).
        if self.supernet.auxiliary_skip:
            weight = self.auxiliary_skip * (1 - progress)
            rows = {k: pad(row, (0, 1), value=weight) for k, row in rows.items()}
        # Channels that pass: the edge weights are the last column.
        if self.has_passing_column:
            edges = self._compute_edge_weights()
            rows = {k: torch.cat([row, edges[k]], 1) for k, row in rows.items()}
        return rows


def softmax_per_set(edge_alphas: Tensor, group: Group) -> Tensor:
    """Computes a softmax over the rows of each set, ``(rows,)`` -> ``(rows,)``."""
    return torch.cat([rows.softmax(dim=0) for rows in group.split(edge_alphas)])
