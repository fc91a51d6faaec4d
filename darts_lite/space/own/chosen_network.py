"""The frozen result of a search in a network of the user's."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from reprlib import repr as short
from typing import Any, Self

from darts_lite.space.groups import Choices, Diagram, Group
from darts_lite.space.maps import check_axes
from darts_lite.space.own.building import FROM_DATA, Plan
from darts_lite.space.protocol import HEADER, AnyArchitecture, check_header

KEYS = ("network", "settings", *FROM_DATA[2:], "space", "choices", "groups", "found_by", "axes")


@dataclass(frozen=True)
class ChosenNetwork(AnyArchitecture):
    """The choices that were made in a network of the user's.

    Args:
        network: Path of its class, ``module.Name``.
        settings: Arguments of the class beside those of the data.
        image_size: Side of the images, if the class takes it.
        space: Name of the space.
        chosen: Name of a choice -> name of its option. Choices that change nothing, as those inside
            an option that was not chosen, are left out.
        groups: The space's groups; their rows are the names of the choices.
        found_by: See `AnyArchitecture`.
        axes: See `darts_lite.NetworkSpace`.
    """

    network: str
    settings: Mapping[str, Any]
    image_size: int | None
    space: str
    chosen: Mapping[str, str]
    groups: Mapping[str, Group]
    found_by: dict[str, Any]
    axes: int = 2

    @cached_property
    def choices(self) -> Choices:
        """The choices of each group; one that changes nothing counts as its first option."""
        result = {}
        for name, group in self.groups.items():
            sets = []
            for names in group.row_sets:
                kept = [(self.chosen[n], row) for row, n in enumerate(names) if n in self.chosen]
                count = len(names) if group.kept is None else group.kept
                if not kept:
                    first = group.options[group.selectable[0]]
                    kept = [(first, row) for row in range(count)]
                sets.append(tuple(kept))
            result[name] = tuple(sets)
        return result

    @property
    def diagrams(self) -> dict[str, Diagram]:
        """The choices side by side, in the order of the network."""
        names = [*self.chosen]
        edges = tuple(((self.chosen[name], 0),) for name in names)
        states = ("network", *names)
        output = tuple(range(1, len(states)))
        return {"choices": Diagram("choices", states, edges, output, "all")}

    @property
    def frame(self) -> Mapping[str, Any]:
        return {"network": self.network, **self.settings}

    @property
    def size(self) -> str:
        return f"{self.network}, {len(self.chosen)} choices"

    @property
    def sees(self) -> bool:
        return True  # the user wrote the network

    def plan(self, in_channels: int, num_classes: int) -> Plan:
        """Returns what its network is built from, with all choices."""
        data = dict(zip(FROM_DATA, (in_channels, num_classes, self.image_size), strict=True))
        return Plan(self.network, self.settings, data)

    def __str__(self) -> str:
        return self.genotype()

    def genotype(self) -> str:
        """Returns the choices as text: ``body=conv5 deep=3``."""
        return " ".join(f"{name}={option}" for name, option in self.chosen.items())

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        refuse_frame(changes)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, as ``architecture.json`` and checkpoints hold them."""
        return {
            **HEADER,
            "kind": "network",
            "network": self.network,
            "settings": dict(self.settings),
            "image_size": self.image_size,
            "space": self.space,
            "choices": {name: _as_number(option) for name, option in self.chosen.items()},
            "groups": {name: _describe_group(group) for name, group in self.groups.items()},
            "found_by": self.found_by,
            **({} if self.axes == 2 else {"axes": self.axes}),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Builds an architecture from what `to_dict` returns, and checks every value."""
        check_header(value)
        value = {"axes": 2, **value}
        check_axes(value["axes"])
        if unknown := [name for name in value if name not in (*KEYS, *HEADER, "kind")]:
            raise ValueError(f"unknown keys {short(unknown)}; a network's choices have {KEYS}")
        if missing := [name for name in KEYS if name not in value]:
            raise ValueError(f"{missing[0]} is missing")
        kinds = {"network": str, "settings": dict, "space": str, "choices": dict, "groups": dict}
        for name, kind in {**kinds, "found_by": dict}.items():
            if not isinstance(value[name], kind):
                raise ValueError(f"{name}: must be a {kind.__name__}, got {short(value[name])}")
        side = value["image_size"]
        if side is not None and (type(side) is not int or side < 1):
            raise ValueError(f"image_size: must be an integer of at least 1, got {short(side)}")
        groups = {name: _read_group(name, one) for name, one in value["groups"].items()}
        chosen = {name: str(option) for name, option in value["choices"].items()}
        _check_chosen(chosen, groups)
        given = {name: value[name] for name in ("network", "settings", "space", "found_by", "axes")}
        return cls(**given, image_size=side, chosen=chosen, groups=groups)


def refuse_frame(changes: Mapping[str, Any]) -> None:
    """Raises ValueError if a setting of a frame is given: the user's class makes the network."""
    for name, value in changes.items():
        if value is not None:
            raise ValueError(
                f"a network of your own has no {name} here; give its class that setting"
            )


def _as_number(option: str) -> str | int:
    """Returns a number for the name of an option that is one, as files hold it."""
    return int(option) if option.isdecimal() and str(int(option)) == option else option


def _describe_group(group: Group) -> dict[str, Any]:
    sets = [[*names] for names in group.row_sets]
    options = [_as_number(option) for option in group.options]
    return {"options": options, "kept": group.kept, "mixes": group.mixes, "sets": sets}


def make_group(
    options: tuple[str, ...], sets: list[tuple[str, ...]], kept: int | None, mixes: bool
) -> Group:
    """Returns the group of choices with the same options."""
    title = ", ".join(options) if len(options) <= 6 else f"{len(options)} options"
    rows = tuple(name for names in sets for name in names)
    return Group(title, rows, options, tuple(map(len, sets)), kept, mixes)


def _read_group(name: str, value: Any) -> Group:
    """Reads what `_describe_group` wrote; raises ValueError if it is anything else."""
    keys = {"options", "kept", "mixes", "sets"}
    if not isinstance(value, dict) or {*value} != keys:
        raise ValueError(f"groups.{name}: must have the keys {sorted(keys)}, got {short(value)}")
    options, sets, kept = value["options"], value["sets"], value["kept"]
    whole = isinstance(options, list) and all(isinstance(one, str | int) for one in options)
    whole = whole and isinstance(sets, list) and all(isinstance(one, list) for one in sets)
    if not (whole and options and all(isinstance(row, str) for one in sets for row in one)):
        raise ValueError(f"groups.{name}: options and sets must be lists of names")
    if not (kept is None or type(kept) is int) or type(value["mixes"]) is not bool:
        raise ValueError(f"groups.{name}: kept must be a number or null, mixes true or false")
    if any(len(one) < (kept or 1) for one in sets) or (kept is not None and kept < 1):
        raise ValueError(f"groups.{name}: cannot keep {kept} of {short(sets)}")
    return make_group(tuple(map(str, options)), [tuple(one) for one in sets], kept, value["mixes"])


def _check_chosen(chosen: Mapping[str, str], groups: Mapping[str, Group]) -> None:
    """Raises ValueError if what was chosen is not of the groups."""
    known = {row: group for group in groups.values() for row in group.rows}
    for name, option in chosen.items():
        if name not in known or option not in known[name].options:
            options = known[name].options if name in known else ()
            raise ValueError(
                f"choices.{name}: {short(option)} is not one of {list(options)}"
                if options
                else f"choices: there is no choice {short(name)}"
            )
    for group in groups.values():
        for names in group.row_sets:
            count = sum(name in chosen for name in names)
            if group.kept is not None and count not in (0, group.kept):
                raise ValueError(f"choices: {group.kept} of {list(names)} are kept, got {count}")
