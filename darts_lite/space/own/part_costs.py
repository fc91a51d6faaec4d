"""The costs of networks of users: a sum over parts, each of which depends on a few choices."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from darts_lite.space.cost_tables import Costs
from darts_lite.space.groups import Group


class HasGroups(Protocol):
    """The part of a space that its costs know."""

    @property
    def groups(self) -> dict[str, Group]: ...


class Row(NamedTuple):
    """A choice in a group.

    Attributes:
        group: Name of the group.
        place: Its row there.
        rows: Rows of its set, as a slice.
    """

    group: str
    place: int
    rows: slice


@dataclass(frozen=True)
class PartCosts(Costs):
    """Costs that are a constant plus a sum of tables, each of which depends on a few choices.

    Args:
        space: The space.
        parts: Names of choices -> costs ``(options, ...)``, a dimension for each of them. A choice
            that a set may leave out has one entry more, the last, for that.
        rest: What all nets of the space share.
    """

    space: HasGroups
    parts: Mapping[tuple[str, ...], Tensor]
    rest: float

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Name of a choice -> its row."""
        return list_rows(self.space.groups)

    def of(self, architecture: Any) -> float:
        places = self.find_places(architecture.choices)
        parts = self.parts.items()
        return self.rest + sum(float(t[tuple(places[n] for n in names)]) for names, t in parts)

    def find_places(self, choices: Mapping[str, Any]) -> dict[str, int]:
        """Returns the place of each choice in its dimension."""
        places: dict[str, int] = {}
        for name, group in self.space.groups.items():
            for names, kept in zip(group.row_sets, choices[name], strict=True):
                places |= dict.fromkeys(names, len(group.options))
                places |= {names[row]: group.options.index(option) for option, row in kept}
        return places

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        """Returns the expected cost if shares were probabilities; differentiable.

        Choices are independent of each other. A set that keeps k of its rows keeps each with a
        probability in proportion to the sum of the shares of its options other than ``none``.
        """
        chances = {name: self._find_chances(row, shares) for name, row in self.rows.items()}
        total = torch.zeros((), dtype=torch.float64, device=next(iter(shares.values())).device)
        for names, table in self.parts.items():
            value = table.to(total.device)
            for name in reversed(names):  # the last dimension first
                value = value @ chances[name]
            total = total + value
        return total + self.rest

    def _find_chances(self, row: Row, shares: Mapping[str, Tensor]) -> Tensor:
        """Returns the probability of each entry of a choice's dimension."""
        group = self.space.groups[row.group]
        own = shares[row.group][row.place].double()
        if group.kept is None:
            return own / own.sum()
        selectable = torch.zeros(len(group.options), dtype=torch.bool, device=own.device)
        selectable[[*group.selectable]] = True
        strengths = (shares[row.group][row.rows].double() * selectable).sum()
        kept = group.kept * own * selectable / strengths
        return torch.cat([kept, (1 - kept.sum())[None]])

    def to_dict(self) -> dict[str, Any]:
        parts = [{"choices": [*names], "costs": t.tolist()} for names, t in self.parts.items()]
        return {"parts": parts, "rest": self.rest}

    @classmethod
    def from_dict(cls, space: HasGroups, content: Mapping[str, Any]) -> "PartCosts":
        """Builds costs from what `to_dict` returned; raises ValueError if they do not fit."""
        parts, rest, rows = content.get("parts"), content.get("rest"), list_rows(space.groups)
        if not isinstance(parts, list) or not isinstance(rest, int | float):
            raise ValueError("the table of costs is incomplete")
        read = {}
        for part in parts:
            names = part.get("choices") if isinstance(part, Mapping) else None
            if not isinstance(names, list) or not all(name in rows for name in names):
                raise ValueError("a part of the table of costs names unknown choices")
            shape = tuple(count_entries(space.groups[rows[name].group]) for name in names)
            read[tuple(names)] = _read_table(names, part.get("costs"), shape)
        if not math.isfinite(rest):
            raise ValueError("the table of costs has a rest that is not finite")
        return cls(space, read, float(rest))


def list_rows(groups: Mapping[str, Group]) -> dict[str, Row]:
    """Returns the rows of all groups by the names of their choices."""
    found: dict[str, Row] = {}
    for name, group in groups.items():
        start = 0
        for size in group.sets:
            rows = slice(start, start + size)
            found |= {group.rows[row]: Row(name, row, rows) for row in range(start, start + size)}
            start += size
    return found


def count_entries(group: Group) -> int:
    """Returns the size of the dimension of a group's choices in a table."""
    return len(group.options) + (group.kept is not None)


def _read_table(names: Sequence[str], value: Any, shape: tuple[int, ...]) -> Tensor:
    try:
        table = torch.tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        table = torch.empty(0)
    if tuple(table.shape) != shape or not table.isfinite().all() or bool((table < 0).any()):
        raise ValueError(f"the costs of {', '.join(names)} must be {shape} numbers of at least 0")
    return table
