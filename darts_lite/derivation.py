"""From mixing shares to a discrete architecture."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from darts_lite.architecture import Architecture
from darts_lite.search_space import CELL_INPUTS, SearchSpace


def derive(
    space: SearchSpace, shares: Mapping[str, Tensor], found_by: Mapping[str, Any]
) -> Architecture:
    """Each node keeps its strongest edges, each edge its strongest candidate, never ``none``.

    The rule of DARTS (arXiv 1806.09055, section 2.4). Edges are ranked by the softmax share of
    their best candidate other than ``none``; raw alphas of different edges are not comparable.

    Args:
        space: The space that was searched.
        shares: Kind of cell -> ``(edges, candidates)``, rows summing to 1.
        found_by: Recorded in the architecture.
    """
    cells = {kind: _derive_cell(space, rows) for kind, rows in shares.items()}
    outputs = tuple(range(CELL_INPUTS, CELL_INPUTS + space.nodes))
    return Architecture(
        cells=cells,
        concat=dict.fromkeys(cells, outputs),
        skeleton=space.skeleton,
        space=space.name,
        found_by=dict(found_by),
    )


def _derive_cell(space: SearchSpace, shares: Tensor) -> tuple[tuple[tuple[str, int], ...], ...]:
    nodes = []
    for rows in shares.detach().cpu().split(space.edges_per_node):  # (edges of the node, cand.)
        best = [_strongest(space.candidates, row.tolist()) for row in rows]
        ranked = sorted(range(len(best)), key=lambda source: -best[source][1])
        kept = sorted(ranked[: space.kept_edges])
        nodes.append(tuple((best[source][0], source) for source in kept))
    return tuple(nodes)


def _strongest(candidates: tuple[str, ...], shares: list[float]) -> tuple[str, float]:
    choices = [pair for pair in zip(candidates, shares, strict=True) if pair[0] != "none"]
    return max(choices, key=lambda pair: pair[1])
