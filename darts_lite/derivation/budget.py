"""The best architecture within limits of what its net costs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, cast

from torch import Tensor

from darts_lite.derivation.costs import COSTS, CostTable, kept_costs
from darts_lite.derivation.pareto import best_within, least_costs, options_of_node
from darts_lite.derivation.rules import Cells, Derivation, SkipLimit, Strongest
from darts_lite.space.architecture import Architecture
from darts_lite.space.encoding import any_architecture
from darts_lite.space.search_space import SearchSpace

ANY_SIZE = 32


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
            `darts_lite.derivation.costs.kept_costs`; measured on the CPU where there is no such
            file.
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
