"""The costs of a space's architectures: exact, expected, and with bounds on them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.space.groups import Group
from darts_lite.space.maps import make_shape


class Images(NamedTuple):
    """The square images, or signals of as many values as a side, that nets are made for."""

    channels: int
    classes: int
    side: int

    @classmethod
    def of(cls, data: Any) -> "Images | None":
        """Returns the images that a data module gives; None if it does not say all of this."""
        names = ("in_channels", "num_classes", "image_size")
        known: list[Any] = [getattr(data, name, None) for name in names]
        return None if None in known else cls(*known)

    def shape(self, axes: int) -> tuple[int, int, int]:
        """Returns the shape ``(C, H, W)`` of one of them, whose maps have as many axes."""
        return self.channels, *make_shape(self.side, axes)


class Costs(ABC):
    """One cost, such as the number of parameters, of the nets of a space."""

    @abstractmethod
    def of(self, architecture: Any) -> float:
        """Returns the cost of an architecture's net, exactly."""

    @abstractmethod
    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        """Returns the expected cost if shares were probabilities; differentiable.

        Shares: group -> ``(rows, options)``.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, from which `Space.read_costs` builds the costs again."""


class Bound(NamedTuple):
    """A bound on a cost: ``sign * cost <= sign * value``, the sign being -1 for a lower limit."""

    costs: Costs
    sign: int
    value: float

    def admits(self, architecture: Any) -> bool:
        """Returns True if the architecture's net is within the bound."""
        return self.sign * self.costs.of(architecture) <= self.sign * self.value


@dataclass(frozen=True)
class CostTable(Costs):
    """Costs that are a constant plus the sum of the costs of the chosen options.

    Args:
        groups: The space's groups.
        options: Group -> costs of its options ``(rows, options)``.
        rest: Cost of what all nets of the space share.
    """

    groups: Mapping[str, Group]
    options: Mapping[str, Tensor]
    rest: float

    def of(self, architecture: Any) -> float:
        total, choices = self.rest, architecture.choices
        for name, group in self.groups.items():
            for costs, kept in zip(group.split(self.options[name]), choices[name], strict=True):
                for option, row in kept:
                    total += float(costs[row, group.options.index(option)])
        return total

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        """Returns the expected cost if shares were probabilities; differentiable.

        Each row has an option with the probability of its share among those that may be chosen. If
        a set keeps k of its rows, it keeps each with a probability in proportion to the sum of the
        shares of its options other than ``none``, k on average.
        """
        total = torch.zeros((), dtype=torch.float64)
        for name, rows in shares.items():
            group = self.groups[name]
            costs = group.split(self.options[name].to(rows.device))
            for shared, cost in zip(group.split(rows.double()), costs, strict=True):
                total = total.to(rows.device) + _expect_set(group, shared, cost)
        return total + self.rest

    def to_dict(self) -> dict[str, Any]:
        return {"edges": {name: c.tolist() for name, c in self.options.items()}, "rest": self.rest}

    @classmethod
    def from_dict(cls, groups: Mapping[str, Group], content: Mapping[str, Any]) -> "CostTable":
        """Builds a table from what `to_dict` returned; raises ValueError if it does not fit."""
        options, rest = content.get("edges"), content.get("rest")
        if not isinstance(options, Mapping) or [*options] != [*groups] or not _is_number(rest):
            raise ValueError("the table of costs is incomplete")
        tables = {name: _read_rows(name, options[name], groups[name].shape) for name in groups}
        # A measured rest may be below 0: a whole net may be faster than its parts one by one.
        return cls(groups, tables, float(rest))  # type: ignore[arg-type]


def _expect_set(group: Group, shares: Tensor, costs: Tensor) -> Tensor:
    """Returns the expected cost of one set, from its shares and costs ``(rows, options)``."""
    if group.kept is None:
        return (shares / shares.sum(dim=1, keepdim=True) * costs).sum()
    selectable = torch.zeros(shares.shape[1], dtype=torch.bool)
    selectable[[*group.selectable]] = True
    shares = shares * selectable.to(shares.device)
    strengths = shares.sum(dim=1)  # (rows,)
    # Expected cost of each row if it is kept, times the probability that it is kept.
    each = (shares * costs).sum(dim=1) / strengths
    return (group.kept * strengths / strengths.sum() * each).sum()


def _read_rows(name: str, value: Any, shape: tuple[int, int]) -> Tensor:
    rows: Sequence[Any] = value if isinstance(value, Sequence) and len(value) == shape[0] else [0]
    whole = all(isinstance(row, Sequence) and len(row) == shape[1] for row in rows)
    if not whole or not all(_is_number(cost) and cost >= 0 for row in rows for cost in row):
        raise ValueError(
            f"the costs of {name} must be {shape[0]} lists of {shape[1]} numbers of at least 0"
        )
    return torch.tensor(value, dtype=torch.float64)


def _is_number(value: Any) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)
