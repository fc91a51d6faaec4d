"""Rules that derive a discrete architecture from shares: the rule of DARTS, and a skip limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from darts_lite.space.groups import Choices, Group, Kept
from darts_lite.space.protocol import AnyArchitecture, Space
from darts_lite.storage.components import describe_component


class Derivation(Protocol):
    """Decides which edges and candidates to keep; a custom rule needs only this method."""

    def __call__(self, space: Space, shares: Mapping[str, Tensor]) -> Choices:
        """Returns the choices; `shares` holds ``(rows, options)`` for each group."""
        ...


class Rule:
    """The base class of the built-in rules, which asks for nothing and forbids nothing."""

    def __call__(self, space: Space, shares: Mapping[str, Tensor]) -> Choices:
        raise NotImplementedError

    @property
    def derives(self) -> bool:
        """Whether it derives from shares, and does not only tell what it admits."""
        return type(self).__call__ is not Rule.__call__

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

    def retrained_space(self, space: Space) -> Space:
        """Returns the space with the skeleton in which the net is retrained."""
        return space

    def admits(self, space: Space, architecture: AnyArchitecture) -> bool:
        """Returns True if the rule could derive this architecture of a space."""
        return True

    @property
    def upper(self) -> "Rule":
        """The rule without its lower limits: it admits what is smaller than anything it admits."""
        return self

    def excess(self, space: Space, architecture: AnyArchitecture) -> float:
        """Returns how far an architecture is from being a fair rival, 0 if it is one.

        A fair rival keeps to all limits, and uses most of what they allow. The distance is a sum of
        logarithms of shares.
        """
        return 0.0

    def use(self, space: Space, architecture: AnyArchitecture) -> list[float]:
        """Returns the share of each upper limit that an architecture uses."""
        return []

    def expect_use(self, space: Space, shares: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the mean costs if shares were probabilities, as shares of the upper limits."""
        return {}

    def with_costs(self, space: Space) -> "Rule":
        """Returns the rule with the content of a file that it reads, in place of its path."""
        return self

    def with_costs_of(self, kept: Mapping[str, Any]) -> "Rule":
        """Returns the rule with what its description in a checkpoint had read of files."""
        return self

    def describe(self) -> dict[str, Any]:
        """Returns class and settings as plain values, from which the rule can be built again."""
        return describe_component(self)


@dataclass(frozen=True)
class CustomRule(Rule):
    """Makes a `Rule` of an object that only derives."""

    derivation: Derivation

    def __call__(self, space: Space, shares: Mapping[str, Tensor]) -> Choices:
        return self.derivation(space, shares)

    def describe(self) -> dict[str, Any]:
        return describe_component(self.derivation)


def rule_from(derivation: Derivation | None) -> Rule:
    """Returns the rule of a derivation; `Strongest` if None is given."""
    if derivation is None:
        return Strongest()
    return derivation if isinstance(derivation, Rule) else CustomRule(derivation)


def limits_from(derivation: Derivation | None) -> Rule:
    """Returns the rule for a search that derives nothing, and asks what the rule admits.

    Raises ValueError if it is no `Rule`, so that it could not tell.
    """
    if isinstance(rule := rule_from(derivation), CustomRule):
        raise ValueError(
            "derivation: this search has no shares to derive from, and "
            f"{type(derivation).__name__} sets no limits; leave it out, or give a Rule whose "
            "admits and excess tell them, such as WithinBudget"
        )
    return rule


@dataclass(frozen=True)
class Strongest(Rule):
    """Keeps the strongest edges of each node, and their strongest candidates but never ``none``.

    This is the rule of DARTS (arXiv 1806.09055, section 2.4). Edges are ranked by the share of
    their best candidate other than ``none``; raw alphas of different edges are not comparable. In a
    space that keeps all edges, ``none`` is a candidate like others, as in NAS-Bench-201.
    """

    def __call__(self, space: Space, shares: Mapping[str, Tensor]) -> Choices:
        return {name: _keep_strongest(space.groups[name], rows) for name, rows in shares.items()}


def _keep_strongest(group: Group, shares: Tensor) -> Kept:
    sets = []
    for rows in group.split(shares.detach().cpu()):
        values = rows.tolist()
        best = [max(group.selectable, key=row.__getitem__) for row in values]
        ranked = sorted(range(len(best)), key=lambda row: -values[row][best[row]])
        kept = sorted(ranked[: group.kept])
        sets.append(tuple((group.options[best[row]], row) for row in kept))
    return tuple(sets)


@dataclass(frozen=True)
class SkipLimit(Rule):
    """Derives as `Strongest` does, with at most `limit` skip connections in the normal cell.

    While there are too many, the weakest loses its share and the cell is derived again (P-DARTS,
    arXiv 1904.12760, section 3.3, keeps two).

    Args:
        limit: Largest number of skip connections in the normal cell.

    Raises:
        ValueError: if the limit is negative, or, when deriving, if no other candidate can replace
            a skip connection, or the space has some and no normal cell.
    """

    limit: int = 2

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"the limit of skip connections must be at least 0, got {self.limit}")

    def __call__(self, space: Space, shares: Mapping[str, Tensor]) -> Choices:
        choices, group = Strongest()(space, shares), space.groups.get("normal")
        if group is None and any("skip_connect" in g.options for g in space.groups.values()):
            raise ValueError(
                "SkipLimit limits the skip connections of the normal cell, and this space has no "
                "such cell; choose another derivation"
            )
        if group is None or "skip_connect" not in group.options:
            return choices
        remaining = {**shares, "normal": shares["normal"].clone()}
        nodes = group.split(remaining["normal"])  # views
        skip = group.options.index("skip_connect")
        while True:
            kept = [
                nodes[node][source]
                for node, edges in enumerate(choices["normal"])
                for name, source in edges
                if name == "skip_connect"
            ]
            if len(kept) <= self.limit:
                return choices
            weakest = min(kept, key=lambda row: float(row[skip]))
            if weakest[skip] < 0:
                raise ValueError(
                    f"no cell has at most {self.limit} skip connections, because candidates "
                    f"{list(group.options)} leave no other choice; raise the limit"
                )
            weakest[skip] = -1.0  # below all shares; changes `remaining`
            choices = Strongest()(space, remaining)

    def admits(self, space: Space, architecture: AnyArchitecture) -> bool:
        return self.excess(space, architecture) == 0

    def excess(self, space: Space, architecture: AnyArchitecture) -> float:
        """Returns the number of skip connections above the limit."""
        kept = architecture.choices.get("normal", ())
        skips = sum(name == "skip_connect" for edges in kept for name, _ in edges)
        return float(max(0, skips - self.limit))


def derive(
    space: Space,
    shares: Mapping[str, Tensor],
    found_by: Mapping[str, Any],
    derivation: Derivation | None = None,
) -> AnyArchitecture:
    """Derives an architecture from shares: group -> ``(rows, options)``.

    The rule is `Strongest` if no derivation is given; `found_by` is recorded in the architecture.
    """
    return space.build((derivation or Strongest())(space, shares), found_by)
