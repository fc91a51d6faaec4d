"""Rules that derive a discrete architecture from shares: the rule of DARTS, and a skip limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from darts_lite.space.architecture import Architecture
from darts_lite.space.genotype import Cell
from darts_lite.space.search_space import SearchSpace
from darts_lite.storage.components import describe_component

Cells = dict[str, Cell]


class Derivation(Protocol):
    """Decides which edges and candidates to keep; a custom rule needs only this method."""

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        """Returns the cells; `shares` holds ``(edges, candidates)`` for each kind of cell."""
        ...


class Rule:
    """The base class of the built-in rules, which asks for nothing and forbids nothing."""

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        raise NotImplementedError

    @property
    def skeleton(self) -> dict[str, Any]:
        """Settings of the retrained net's skeleton that differ from the supernet's."""
        return {}

    def with_data(
        self,
        in_channels: int | None = None,
        num_classes: int | None = None,
        image_size: int | None = None,
    ) -> "Rule":
        """Returns the rule with these properties of the data, where it has none yet."""
        return self

    def in_skeleton_of(self, other: "Rule") -> "Rule":
        """Returns the rule with the skeleton of another rule, if it has none itself."""
        return self

    def retrained_space(self, space: SearchSpace) -> SearchSpace:
        """Returns the space with the skeleton in which the net is retrained."""
        return space

    def admits(self, space: SearchSpace, architecture: Architecture) -> bool:
        """Returns True if the rule could derive this architecture of a space."""
        return True

    def describe(self) -> dict[str, Any]:
        """Returns class and settings as plain values, from which the rule can be built again."""
        return describe_component(self)


@dataclass(frozen=True)
class CustomRule(Rule):
    """Makes a `Rule` of an object that only derives."""

    derivation: Derivation

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        return self.derivation(space, shares)

    def describe(self) -> dict[str, Any]:
        return describe_component(self.derivation)


def rule_from(derivation: Derivation | None) -> Rule:
    """Returns the rule of a derivation; `Strongest` if None is given."""
    if derivation is None:
        return Strongest()
    return derivation if isinstance(derivation, Rule) else CustomRule(derivation)


@dataclass(frozen=True)
class Strongest(Rule):
    """Keeps the strongest edges of each node, and their strongest candidates but never ``none``.

    This is the rule of DARTS (arXiv 1806.09055, section 2.4). Edges are ranked by the share of
    their best candidate other than ``none``; raw alphas of different edges are not comparable. In a
    space that keeps all edges, ``none`` is a candidate like others, as in NAS-Bench-201.
    """

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        return {kind: self._derive_cell(space, rows) for kind, rows in shares.items()}

    def _derive_cell(self, space: SearchSpace, shares: Tensor) -> Cell:
        nodes = []
        for rows in shares.detach().cpu().split(space.edges_per_node):
            best = [_find_strongest(space, row.tolist()) for row in rows]
            ranked = sorted(range(len(best)), key=lambda source: -best[source][1])
            kept = sorted(ranked[: space.kept_edges])
            nodes.append(tuple((best[source][0], source) for source in kept))
        return tuple(nodes)


@dataclass(frozen=True)
class SkipLimit(Rule):
    """Derives as `Strongest` does, with at most `limit` skip connections in the normal cell.

    While there are too many, the weakest loses its share and the cell is derived again (P-DARTS,
    arXiv 1904.12760, section 3.3, keeps two).

    Args:
        limit: Largest number of skip connections in the normal cell.

    Raises:
        ValueError: if the limit is negative, or, when deriving, if no other candidate can replace
            a skip connection.
    """

    limit: int = 2

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"the limit of skip connections must be at least 0, got {self.limit}")

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
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
                    f"no cell has at most {self.limit} skip connections, because candidates "
                    f"{list(space.candidates)} leave no other choice; raise the limit"
                )
            weakest[skip] = -1.0  # below all shares; changes `remaining`
            cells = Strongest()(space, remaining)


def derive(
    space: SearchSpace,
    shares: Mapping[str, Tensor],
    found_by: Mapping[str, Any],
    derivation: Derivation | None = None,
) -> Architecture:
    """Derives an architecture from shares: kind of cell -> ``(edges, candidates)``.

    The rule is `Strongest` if no derivation is given; `found_by` is recorded in the architecture.
    """
    cells = (derivation or Strongest())(space, shares)
    return Architecture(cells, {}, space.skeleton, space.name, dict(found_by))


def _find_strongest(space: SearchSpace, shares: list[float]) -> tuple[str, float]:
    left_out = () if space.kept_edges is None else ("none",)
    pairs = zip(space.candidates, shares, strict=True)
    return max((pair for pair in pairs if pair[0] not in left_out), key=lambda pair: pair[1])
