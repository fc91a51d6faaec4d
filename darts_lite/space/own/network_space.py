"""The space of a network of the user's: what its choices leave open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn

from darts_lite.space.cost_tables import Bound
from darts_lite.space.groups import Choices, Group
from darts_lite.space.maps import check_axes, make_shape
from darts_lite.space.own.best_choices import choose_options
from darts_lite.space.own.building import (
    FROM_DATA,
    Plan,
    find_network,
    name_network,
    outline_network,
)
from darts_lite.space.own.chosen_network import ChosenNetwork, make_group, refuse_frame
from darts_lite.space.own.network_structure import Structure, find_structure
from darts_lite.space.own.part_costs import PartCosts
from darts_lite.space.own.trial import find_unmixable
from darts_lite.space.protocol import Space

USUAL = {"in_channels": 3, "num_classes": 10, "image_size": 32}
"""Data for which choices are listed before the data are known."""


@dataclass(frozen=True)
class NetworkSpace(Space):
    """The choices of a network that a user wrote: `Choice`, `InputChoice`, `Repeat`, `Width`.

    Args:
        network: The network's class, or its path ``module.Name``, whose module is imported.
        settings: Arguments of the class, as plain values.
        name: Name of the space; that of the class if not given.
        in_channels: Number of channels of an image; a search sets this and the next two. They
            reach the class as arguments with these names, where it has them.
        num_classes: Number of classes.
        image_size: Side of the images.
        axes: Number of axes of an input: 2 for images ``(C, S, S)``, 1 for signals ``(C, 1, S)``.

    Raises:
        ValueError: when choices are asked for, if the class is not known, cannot be built, has no
            choices, or an option does not run.
    """

    network: type[nn.Module] | str
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    in_channels: int | None = None
    num_classes: int | None = None
    image_size: int | None = None
    axes: int = 2

    def __post_init__(self) -> None:
        check_axes(self.axes)
        object.__setattr__(self, "network", name_network(self.network))
        if not self.name:
            object.__setattr__(self, "name", self.network_path.rpartition(".")[2])

    def __hash__(self) -> int:  # costs of a space are measured once
        known = *self._data.values(), self.axes
        return hash((self.network_path, repr(self.settings), self.name, *known))

    @property
    def network_path(self) -> str:
        """Path of the network's class."""
        return str(self.network)

    @property
    def code(self) -> object:
        return find_network(self.network_path)

    @property
    def _data(self) -> dict[str, int | None]:
        return {name: getattr(self, name) for name in FROM_DATA}

    def with_data(
        self,
        in_channels: int | None = None,
        num_classes: int | None = None,
        image_size: int | None = None,
    ) -> "NetworkSpace":
        return replace(
            self,
            in_channels=self.in_channels or in_channels,
            num_classes=self.num_classes or num_classes,
            image_size=self.image_size or image_size,
        )

    @property
    def plan(self) -> Plan:
        """The class and the arguments of the network."""
        known: dict[str, int | None] = {n: value or USUAL[n] for n, value in self._data.items()}
        return Plan(self.network_path, self.settings, known)

    def blank(self, count: int = 1, device: torch.device | str = "cpu") -> Tensor:
        """Returns images for the network, ``(count, C, H, W)``, all 0."""
        data = {name: value or USUAL[name] for name, value in self._data.items()}
        shape = make_shape(data["image_size"], self.axes)
        return torch.zeros(count, data["in_channels"], *shape, device=device)

    @cached_property
    def structure(self) -> Structure:
        """The choices in the network."""
        return find_structure(outline_network(self.plan))

    @cached_property
    def groups(self) -> dict[str, Group]:
        alone = find_unmixable(outline_network(self.plan), self.blank(device="meta"))
        structure = self.structure
        of_nodes = {name for names in structure.nodes for name in names}
        sets: dict[tuple[tuple[str, ...], int | None, bool], list[tuple[str, ...]]] = {}
        for names, keep in structure.nodes.items():
            options = structure.variables[names[0]].options
            mixes = not alone.intersection(names)
            sets.setdefault((options, keep, mixes), []).append(names)
        for name, variable in structure.variables.items():
            if name not in of_nodes:
                key = (variable.options, None, name not in alone)
                sets.setdefault(key, []).append((name,))
        groups: dict[str, Group] = {}
        for (options, kept, mixes), rows in sets.items():
            groups[f"choice{len(groups) + 1}"] = make_group(options, rows, kept, mixes)
        return groups

    def build(self, choices: Choices, found_by: Mapping[str, Any] | None = None) -> ChosenNetwork:
        chosen = self.name_choices(choices)
        active = {
            name: chosen[name]
            for name in self.structure.variables
            if name in chosen and self.structure.is_active(name, chosen)
        }
        return ChosenNetwork(
            self.network_path,
            self.settings,
            self.image_size,
            self.name,
            active,
            self.groups,
            dict(found_by or {}),
            self.axes,
        )

    def leave_out_vain(self, choices: Choices) -> Choices:
        active = self.build(choices).chosen
        return {
            name: tuple(
                tuple((option, row) for option, row in kept if names[row] in active)
                for names, kept in zip(group.row_sets, choices[name], strict=True)
            )
            for name, group in self.groups.items()
        }

    def name_choices(self, choices: Choices) -> dict[str, str]:
        """Returns the chosen option of each choice by name; paths that are not kept are absent."""
        chosen: dict[str, str] = {}
        for name, group in self.groups.items():
            for names, kept in zip(group.row_sets, choices[name], strict=True):
                chosen |= {names[row]: option for option, row in kept}
        return chosen

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        refuse_frame(changes)
        return self

    def choose_within(
        self, shares: Mapping[str, Tensor], bounds: Sequence[Bound]
    ) -> tuple[Choices | None, list[float]]:
        """Returns the best choices within bounds, exactly."""
        return choose_options(self, shares, bounds)

    def read_costs(self, content: Mapping[str, Any]) -> PartCosts:
        return PartCosts.from_dict(self, content)
