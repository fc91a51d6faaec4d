"""From shares to a discrete architecture: the rule of DARTS, and rules with a limit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

from torch import Tensor

from darts_lite.architecture import Architecture
from darts_lite.budget import best_within, least_costs, options_of_node
from darts_lite.cost_files import kept_costs
from darts_lite.costs import COSTS, CostTable
from darts_lite.encoding import any_architecture
from darts_lite.genotype import Cell
from darts_lite.search_space import SearchSpace

Cells = dict[str, Cell]
ANY_SIZE = 32


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


class Limit(NamedTuple):
    """A limit of a budget. A least number counts negated, so that every limit is an upper one."""

    setting: str
    counts: str
    value: float
    sign: int  # -1 for a least number

    def __str__(self) -> str:
        return f"at {'most' if self.sign > 0 else 'least'} {self.value:.9g} {self.counts}"

    def reached(self, cost: float) -> str:
        """The least, or for a least number the most, that there is."""
        return f"{abs(cost):.9g} {self.counts} at {'least' if self.sign > 0 else 'most'}"


@dataclass(frozen=True)
class WithinBudget:
    """The architecture of the largest product of shares whose net stays within a budget.

    Without a limit that is what `Strongest` keeps. The best is found exactly, by merging the
    possible choices of node after node and dropping those that another one beats in everything.

    Args:
        parameters: Most parameters of the net; None sets no limit.
        multiply_adds: Most multiply-adds of the net for one image, once through it: an answer that
            is the mean over nine shifts takes nine times as many. None sets no limit.
        latency: Most milliseconds of the net for one image; None sets no limit.
        latency_table: File with the milliseconds of the operations, see
            `darts_lite.cost_files.kept_costs`; measured on the CPU where there is no such file.
        image_size, in_channels, num_classes: Of the data; a search takes those of its own. The
            number of parameters is the same for images of any size.
        channels, cells, reductions, stem: Of the net that is retrained, where that differs from the
            supernet, as in `Retraining`.
        least_parameters: Least parameters, so that a short search does not come out at skip
            connections and poolings alone; None sets no limit.

    Raises:
        ValueError: if a limit is not above 0, if three are set, if a latency has no table, or, when
            deriving, if the data are not known or no architecture of the space is within the
            limits.
    """

    parameters: int | None = None
    multiply_adds: int | None = None
    latency: float | None = None
    latency_table: str | None = None
    image_size: int | None = None
    in_channels: int | None = None
    num_classes: int | None = None
    channels: int | None = None
    cells: int | None = None
    reductions: tuple[int, ...] | None = None
    stem: str | None = None
    least_parameters: int | None = None

    def __post_init__(self) -> None:
        for limit in self._limits:
            if not limit.value > 0:
                raise ValueError(f"a budget of {limit.setting} must be above 0, got {limit.value}")
        if self.parameters and self.least_parameters and self.least_parameters > self.parameters:
            raise ValueError(
                f"no net has at least {self.least_parameters} and at most {self.parameters} "
                "parameters; lower least_parameters"
            )
        if len(self._limits) > 2:
            raise ValueError("a budget takes two limits at most, got three; leave one out")
        if self.latency is not None and self.latency_table is None:
            raise ValueError("a budget of latency needs latency_table, the path of a file")

    @property
    def _limits(self) -> list[Limit]:
        counted = (
            ("parameters", "parameters", 1),
            ("least_parameters", "parameters", -1),
            ("multiply_adds", "multiply_adds", 1),
            ("latency", "latency", 1),
        )
        return [
            Limit(setting, counts, value, sign)
            for setting, counts, sign in counted
            if (value := getattr(self, setting)) is not None
        ]

    def retrained(self, architecture: Architecture) -> Architecture:
        """An architecture in the skeleton of the net whose costs count."""
        return architecture.with_skeleton(self.channels, self.cells, self.reductions, self.stem)

    def in_skeleton_of(self, other: Derivation) -> "WithinBudget":
        """This budget, counted in the skeleton of another one, where it has none of its own."""
        names = ("channels", "cells", "reductions", "stem")
        own = any(getattr(self, name) is not None for name in names)
        if own or not isinstance(other, WithinBudget):
            return self
        return replace(self, **{name: getattr(other, name) for name in names})

    def retrained_space(self, space: SearchSpace) -> SearchSpace:
        """The space with the skeleton of the net."""
        frame = self.retrained(any_architecture(space)).skeleton
        if frame.kinds != space.skeleton.kinds:
            raise ValueError(
                f"the net to retrain has {' and '.join(frame.kinds)} cells, but searched are "
                f"{' and '.join(space.skeleton.kinds)} cells; choose other cells or reductions"
            )
        return replace(
            space,
            channels=frame.channels,
            cells=frame.cells,
            reductions=frame.reduction_cells,
            stem=frame.stem,
        )

    def admits(self, space: SearchSpace, architecture: Architecture) -> bool:
        """Whether the net of an architecture of a space stays within the limits."""
        retrained = self.retrained_space(space)
        return all(
            limit.sign * self._table(retrained, limit.counts).of(architecture)
            <= limit.sign * limit.value
            for limit in self._limits
        )

    def _table(self, space: SearchSpace, name: str) -> CostTable:
        """The costs that a limit counts."""
        size = self.image_size or (ANY_SIZE if name == "parameters" else None)
        known = (self.in_channels, self.num_classes, size)
        if None in known:
            raise ValueError(
                f"a budget of {name} needs in_channels, num_classes and image_size of the data, "
                f"got {', '.join(map(str, known))}"
            )
        data = cast(tuple[int, int, int], known)
        if name == "latency" and self.latency_table is not None:
            return kept_costs(self.latency_table, space, name, *data)
        return _counted(space, name, *data)

    def __call__(self, space: SearchSpace, shares: Mapping[str, Tensor]) -> Cells:
        """See `Derivation`."""
        limits, retrained = self._limits, self.retrained_space(space)
        tables = [self._table(retrained, limit.counts) for limit in limits]
        rests = [limit.sign * table.rest for limit, table in zip(limits, tables, strict=True)]
        budgets = [
            limit.sign * limit.value - rest for limit, rest in zip(limits, rests, strict=True)
        ]
        nodes = []
        for kind, rows in shares.items():
            costs = [
                (limit.sign * table.edges[kind]).split(space.edges_per_node)
                for limit, table in zip(limits, tables, strict=True)
            ]
            of_nodes = rows.detach().cpu().split(space.edges_per_node)
            nodes += [
                options_of_node(space, of_node, [cost[node] for cost in costs])
                for node, of_node in enumerate(of_nodes)
            ]
        if (best := best_within(nodes, budgets)) is None:
            asked = " and ".join(map(str, limits))
            extremes = " and ".join(
                limit.reached(rest + cost)
                for limit, rest, cost in zip(limits, rests, least_costs(nodes), strict=True)
            )
            raise ValueError(f"no architecture of the space has {asked}; it has {extremes}")
        return {
            kind: best.nodes[i * space.nodes : (i + 1) * space.nodes]
            for i, kind in enumerate(shares)
        }


@lru_cache
def _counted(
    space: SearchSpace, name: str, in_channels: int, num_classes: int, image_size: int
) -> CostTable:
    # A search derives several times an epoch, and always from this one table.
    return CostTable.measure(space, COSTS[name], in_channels, num_classes, image_size)


def for_data(
    rule: Derivation,
    in_channels: int | None = None,
    num_classes: int | None = None,
    image_size: int | None = None,
) -> Derivation:
    """A rule that knows the data where it has to: what a budget was not given, it takes from here.

    Args:
        rule: Any.
        in_channels, num_classes, image_size: Of the data, as far as they are known.
    """
    if not isinstance(rule, WithinBudget):
        return rule
    return replace(
        rule,
        in_channels=rule.in_channels or in_channels,
        num_classes=rule.num_classes or num_classes,
        image_size=rule.image_size or image_size,
    )


DERIVATIONS = (Strongest, SkipLimit, WithinBudget)


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
