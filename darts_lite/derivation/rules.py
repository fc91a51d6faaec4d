"""From shares to a discrete architecture: the rule of DARTS, and rules with a limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from darts_lite.space.architecture import Architecture
from darts_lite.space.genotype import Cell
from darts_lite.space.search_space import SearchSpace

Cells = dict[str, Cell]


class Derivation(Protocol):
    """Decides which edges and candidates to keep."""

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        """Cells by kind.

        Args:
            space: The space that was searched.
            shares: Kind of cell -> ``(edges, candidates)``.
        """
        ...


@dataclass(frozen=True)
class Strongest:
    """Each node keeps its strongest edges, each edge its strongest candidate, never ``none``.

    The rule of DARTS (arXiv 1806.09055, section 2.4). Edges are ranked by the share of their best
    candidate other than ``none``; raw alphas of different edges are not comparable. In a space that
    keeps all edges, ``none`` is a candidate like others, as in NAS-Bench-201.
    """

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        """See `Derivation`."""
        return {kind: self._cell(space, rows) for kind, rows in shares.items()}

    def _cell(self, space: SearchSpace, shares: Tensor) -> Cell:
        nodes = []
        for rows in shares.detach().cpu().split(space.edges_per_node):
            best = [_strongest(space, row.tolist()) for row in rows]
            ranked = sorted(range(len(best)), key=lambda source: -best[source][1])
            kept = sorted(ranked[: space.kept_edges])
            nodes.append(tuple((best[source][0], source) for source in kept))
        return tuple(nodes)


@dataclass(frozen=True)
class SkipLimit:
    """`Strongest`, with at most so many skip connections in the normal cell.

    The weakest of those that are too many loses its share, and the cell is derived again (P-DARTS,
    arXiv 1904.12760, section 3.3, keeps two).

    Args:
        limit: Most skip connections of the normal cell.

    Raises:
        ValueError: if the limit is negative.
    """

    limit: int = 2

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"the limit of skip connections must be at least 0, got {self.limit}")

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        """See `Derivation`.

        Raises:
            ValueError: if there is nothing to take instead of skip connections.
        """
        cells = Strongest()(space, shares)
        if "normal" not in cells or "skip_connect" not in space.candidates:
            return cells
        remaining = {**shares, "normal": shares["normal"].clone()}
        nodes = remaining["normal"].split(space.edges_per_node)  # views
        skip = space.candidates.index("skip_connect")
        while True:
            kept = [
                nodes[node][source]
                for node, edges in enumerate(cells["normal"])
                for name, source in edges
                if name == "skip_connect"
            ]
            if len(kept) <= self.limit:
                return cells
            weakest = min(kept, key=lambda row: float(row[skip]))
            if weakest[skip] < 0:
                raise ValueError(
                    f"no net of these edges has at most {self.limit} skip connections, as "
                    f"{list(space.candidates)} leave nothing else to choose; raise the limit"
                )
            weakest[skip] = -1.0
            cells = Strongest()(space, remaining)


def derive(
    space: SearchSpace,
    shares: Mapping[str, Tensor],
    found_by: Mapping[str, Any],
    derivation: Derivation | None = None,
) -> Architecture:
    """The architecture that shares stand for.

    Args:
        space: The space that was searched.
        shares: Kind of cell -> ``(edges, candidates)``.
        found_by: Recorded in the architecture.
        derivation: The rule; `Strongest` when not given.
    """
    cells = (derivation or Strongest())(space, shares)
    return Architecture(
        cells=cells,
        skeleton=space.skeleton,
        space=space.name,
        found_by=dict(found_by),
    )


def _strongest(space: SearchSpace, shares: list[float]) -> tuple[str, float]:
    left_out = () if space.kept_edges is None else ("none",)
    pairs = zip(space.candidates, shares, strict=True)
    return max((pair for pair in pairs if pair[0] not in left_out), key=lambda pair: pair[1])
