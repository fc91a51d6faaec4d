"""Finds the best architecture whose net stays within limits on its costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from darts_lite.derivation.costs import load_or_measure_costs, load_table, measure_costs
from darts_lite.derivation.rules import Rule, SkipLimit, Strongest
from darts_lite.derivation.sizes import read_size
from darts_lite.space.cost_tables import Bound, Costs, Images
from darts_lite.space.groups import Choices
from darts_lite.space.protocol import AnyArchitecture, Space

USED = 0.9  # share of each limit that a fair rival uses at least
ANY_SIZE = 32
"""Image size in pixels for counting parameters, whose number is the same for every size."""
SKELETON = ("channels", "cells", "reductions", "stem")


class Limit(NamedTuple):
    """A limit of a budget. A lower limit counts negated, so that every limit is an upper one."""

    setting: str
    cost: str  # a name in COSTS, or of a cost that a kind of space counts itself
    value: float
    sign: int  # -1 for a lower limit

    def __str__(self) -> str:
        return f"at {'most' if self.sign > 0 else 'least'} {self.value:.9g} {self.words}"

    def describe_extreme(self, cost: float) -> str:
        return f"at {'least' if self.sign > 0 else 'most'} {abs(cost):.9g} {self.words}"

    @property
    def words(self) -> str:
        """The limited cost, in words."""
        return f"bytes of {self.cost}" if self.cost in OF_BYTES else self.cost


OF_BYTES = ("memory", "flash", "arena", "file")
"""Limits in bytes."""


@dataclass(frozen=True)
class WithinBudget(Rule):
    """Derives the architecture with the largest product of shares whose net is within a budget.

    Without a limit it keeps the same edges as `Strongest`. The result is exact, see
    `darts_lite.space.pareto`.

    Args:
        parameters: Largest number of parameters of the net; None sets no limit.
        multiply_adds: Largest number of multiply-adds for one image and one pass through the net;
            an answer that is the mean over nine shifts takes nine times as many. None sets no
            limit.
        memory: Largest number of bytes of activations at once, in int8: what a layer reads and
            writes, and what is kept for later ones. A text may have a unit, as ``8kB``. None sets
            no limit; cells have no such costs.
        flash: Largest number of bytes of the weights in int8, with bias and scale of each channel
            in four bytes each. None sets no limit.
        arena: Largest number of bytes of memory that the micro interpreter needs for the int8
            LiteRT file, maps and records together; chains only, and not in a search by gradients.
        file: Largest number of bytes of this file, likewise.
        latency: Largest time for one image, in milliseconds; None sets no limit.
        latency_table: File with the milliseconds of the operations; if there is no such file, they
            are measured on the CPU and written. A search keeps the file's content.
        image_size: Side of the images; if not given, a search sets it, and likewise the next two.
            The number of parameters does not depend on it.
        in_channels: Number of channels of an image.
        num_classes: Number of classes.
        channels: Channels of the first cell of the net that is retrained, if not the supernet's.
        cells: Number of its cells, likewise.
        reductions: Places of its cells that halve the map, likewise.
        stem: Name of its stem, likewise.
        least_parameters: Smallest number of parameters, so that a short search does not end with
            skip connections and pooling only; None sets no limit.

    Raises:
        ValueError: if a limit is not above 0, or a latency has no table; when deriving, if the
            data are not known or no architecture is within the limits, or if the space lacks costs
            or cannot keep to as many limits.
    """

    parameters: int | None = None
    multiply_adds: int | None = None
    latency: float | None = None
    latency_table: str | dict[str, Any] | None = None
    image_size: int | None = None
    in_channels: int | None = None
    num_classes: int | None = None
    channels: int | None = None
    cells: int | None = None
    reductions: tuple[int, ...] | None = None
    stem: str | None = None
    least_parameters: int | None = None
    memory: int | str | None = None
    flash: int | str | None = None
    arena: int | str | None = None
    file: int | str | None = None

    def __post_init__(self) -> None:
        for name in OF_BYTES:
            if (size := getattr(self, name)) is not None:
                object.__setattr__(self, name, read_size(size, f"a budget of {name}"))
        for limit in self._limits:
            if not limit.value > 0:
                raise ValueError(f"a budget of {limit.setting} must be above 0, got {limit.value}")
        if self.parameters and self.least_parameters and self.least_parameters > self.parameters:
            raise ValueError(
                f"no net has at least {self.least_parameters} and at most {self.parameters} "
                "parameters; lower least_parameters"
            )
        if self.latency is not None and self.latency_table is None:
            raise ValueError("a budget of latency needs latency_table, the path of a file")

    @property
    def _limits(self) -> list[Limit]:
        counts = ("parameters", "least_parameters", "multiply_adds")
        names = (*counts, *OF_BYTES, "latency")
        signs = {name: -1 if name.startswith("least_") else 1 for name in names}
        return [
            Limit(setting, setting.removeprefix("least_"), value, sign)
            for setting, sign in signs.items()
            if (value := getattr(self, setting)) is not None
        ]

    @property
    def derives(self) -> bool:
        return self.arena is None and self.file is None  # which are no sums over layers

    @property
    def skeleton(self) -> dict[str, Any]:
        return {name: value for name in SKELETON if (value := getattr(self, name)) is not None}

    def with_data(
        self,
        in_channels: int | None = None,
        num_classes: int | None = None,
        image_size: int | None = None,
    ) -> "WithinBudget":
        return replace(
            self,
            in_channels=self.in_channels or in_channels,
            num_classes=self.num_classes or num_classes,
            image_size=self.image_size or image_size,
        )

    def with_costs(self, space: Space) -> "WithinBudget":
        if self.latency is None or not isinstance(self.latency_table, str):
            return self
        self._measure(self.retrained_space(space), "latency")  # makes the file
        return replace(self, latency_table=load_table(self.latency_table))

    def with_costs_of(self, kept: Mapping[str, Any]) -> "WithinBudget":
        table = kept["init_args"].get("latency_table")
        return self if self.latency is None else replace(self, latency_table=table)

    def in_skeleton_of(self, other: Rule) -> "WithinBudget":
        return self if self.skeleton else replace(self, **other.skeleton)

    def retrained_space(self, space: Space) -> Space:
        return space.in_skeleton(self.skeleton)

    def admits(self, space: Space, architecture: AnyArchitecture) -> bool:
        bounds = self._bounds(space)
        return all(bound.admits(architecture) for bound in bounds)

    @property
    def upper(self) -> "WithinBudget":
        return self if self.least_parameters is None else replace(self, least_parameters=None)

    def excess(self, space: Space, architecture: AnyArchitecture) -> float:
        bounded_below = {limit.cost for limit in self._limits if limit.sign < 0}
        total = 0.0
        for limit, bound in zip(self._limits, self._bounds(space), strict=True):
            share = max(bound.costs.of(architecture), 1e-9) / limit.value
            total += max(0.0, limit.sign * math.log(share))
            if limit.cost not in bounded_below:
                total += max(0.0, math.log(USED / share))
        return total

    def use(self, space: Space, architecture: AnyArchitecture) -> list[float]:
        pairs = zip(self._limits, self._bounds(space), strict=True)
        return [
            bound.costs.of(architecture) / limit.value for limit, bound in pairs if limit.sign > 0
        ]

    def expect_use(self, space: Space, shares: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pairs = zip(self._limits, self._bounds(space), strict=True)
        return {
            limit.cost: bound.costs.expected(shares) / limit.value
            for limit, bound in pairs
            if limit.sign > 0
        }

    def _bounds(self, space: Space) -> list[Bound]:
        retrained = self.retrained_space(space)
        return [
            Bound(self._measure(retrained, limit.cost), limit.sign, limit.value)
            for limit in self._limits
        ]

    def _measure(self, space: Space, name: str) -> Costs:
        size = self.image_size or (ANY_SIZE if name in ("parameters", "flash") else None)
        if self.in_channels is None or self.num_classes is None or size is None:
            raise ValueError(
                f"a budget of {name} needs in_channels, num_classes and image_size of the data, "
                f"got {self.in_channels}, {self.num_classes}, {size}"
            )
        images = Images(self.in_channels, self.num_classes, size)
        if name != "latency" or self.latency_table is None:
            return _measure_once(space, space.code, name, images)
        key = space, space.code, images
        if key not in self._known_latencies:
            costs = load_or_measure_costs(self.latency_table, space, name, images)
            self._known_latencies[key] = costs
        return self._known_latencies[key]

    @cached_property
    def _known_latencies(self) -> dict[tuple[Space, object, Images], Costs]:
        return {}

    def __call__(self, space: Space, shares: Mapping[str, Tensor]) -> Choices:
        choices, least = space.choose_within(shares, self._bounds(space))
        if choices is None:
            asked = " and ".join(map(str, self._limits))
            pairs = zip(self._limits, least, strict=True)
            extremes = " and ".join(limit.describe_extreme(cost) for limit, cost in pairs)
            raise ValueError(
                f"no architecture of the space has {asked}; its architectures have {extremes}"
            )
        return choices


@lru_cache
def _measure_once(space: Space, code: object, name: str, images: Images) -> Costs:
    # A search derives several times an epoch, always with the same costs.
    return measure_costs(space, name, images)


DERIVATIONS = (Strongest, SkipLimit, WithinBudget)
"""The rules that can be built from their class path in a checkpoint."""
