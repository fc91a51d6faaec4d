"""Finds the choices in a network: their names, their options, and when each part of it runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import nn

from darts_lite.space.own.choices import OPTION, AnyChoice, InputChoice
from darts_lite.space.own.widths import Source, Width, find_widths

Condition = tuple[str, frozenset[str]]
"""Name of a choice, and those of its options with which a part runs."""
Conditions = tuple[Condition, ...]
"""Conditions that must all be met for a part to run."""

HOLDERS = ("modules_by_option", "blocks_by_place", "paths_by_input")
"""Names by which choices hold their parts."""


class Variable(NamedTuple):
    """A choice as a search knows it: a row of a group.

    Attributes:
        name: Its name.
        options: Names of its options.
    """

    name: str
    options: tuple[str, ...]


@dataclass
class Structure:
    """The choices in a network, and the conditions under which its parts run.

    Attributes:
        variables: Name -> choice, in the order in which they stand in the network.
        nodes: Names of the choices of each `InputChoice` with paths, and how many it keeps.
        runs: Name of a choice -> all conditions under which it counts; empty ones if always.
        modules: First path of a module in the network -> the conditions under which it runs, of
            which one must be met; a module may stand at several places.
        choices: The modules with choices, with the names of their variables.
        widths: Number of channels -> name of its variable.
    """

    variables: dict[str, Variable] = field(default_factory=dict)
    nodes: dict[tuple[str, ...], int] = field(default_factory=dict)
    runs: dict[str, set[Conditions]] = field(default_factory=dict)
    modules: dict[str, list[Conditions]] = field(default_factory=dict)
    choices: list[tuple[AnyChoice, str]] = field(default_factory=list)
    widths: dict[Source, str] = field(default_factory=dict)

    def is_active(self, name: str, chosen: Mapping[str, str]) -> bool:
        """Returns whether a choice changes the net, where these options are chosen."""
        return runs(self.runs[name], chosen)


def meets(conditions: Conditions, chosen: Mapping[str, str]) -> bool:
    """Returns whether all conditions are met; a choice that is left out meets none."""
    return all(chosen.get(name) in options for name, options in conditions)


def find_structure(network: nn.Module) -> Structure:
    """Finds all choices of a network.

    Raises:
        ValueError: if there is none, if choices of one name have other options, or if a layer has
            channels that cannot be chosen.
    """
    found = Structure()
    _walk(network, "", (), found, {})
    if not found.variables:
        raise ValueError(
            f"{type(network).__name__} has no choices to search; put a Choice, Repeat, InputChoice "
            "or Width into it"
        )
    return found


def _walk(
    module: nn.Module,
    path: str,
    conditions: Conditions,
    found: Structure,
    paths: dict[nn.Module, str],
) -> None:
    found.modules.setdefault(paths.setdefault(module, path), []).append(conditions)
    try:
        widths = find_widths(module)
    except ValueError as error:
        raise ValueError(f"{show_path(path)}: {error}") from None
    for width in widths:
        _add_width(width, path, conditions, found)
    if not isinstance(module, AnyChoice):
        for name, child in module.named_children():
            _walk(child, _join(path, name), conditions, found, paths)
        return
    own = None
    if isinstance(module, InputChoice) and module.paths_by_input is not None:
        _add_node(module, path, found)
    else:
        own = _add_choice(module, path, conditions, found)
    for name, part, options in module.inside():
        inner = conditions if own is None or options is None else (*conditions, (own, options))
        _walk(part, _join(path, name), inner, found, paths)


def _add_node(module: InputChoice, path: str, found: Structure) -> None:
    known = dict(found.choices)
    names = tuple(
        known.get(part) or part.name or show_path(_join(path, name))
        for name, part, _ in module.inside()
        if isinstance(part, AnyChoice)
    )
    if found.nodes.setdefault(names, module.keep) != module.keep:
        raise ValueError(
            f"{show_path(path)}: another InputChoice has the same paths and keeps "
            f"{found.nodes[names]} of them, and not {module.keep}"
        )


def _add_choice(module: AnyChoice, path: str, conditions: Conditions, found: Structure) -> str:
    name = dict(found.choices).get(module) or module.name or show_path(path)
    _add_variable(Variable(name, module.options), path, found)
    found.runs.setdefault(name, set()).add(conditions)
    if module not in dict(found.choices):  # it may stand at several places
        found.choices.append((module, name))
    return name


def _add_width(width: Width, path: str, conditions: Conditions, found: Structure) -> None:
    for source in {part.source: None for part in width.parts}:
        if source is None:
            continue
        if source not in found.widths:
            found.widths[source] = source.name or show_path(_join(path, "width"))
            if source.name is None and found.widths[source] in found.variables:
                found.widths[source] = show_path(_join(path, f"width{len(found.widths)}"))
        name = found.widths[source]
        options = tuple(map(str, source.options))
        _add_variable(Variable(name, options), path, found)
        found.runs.setdefault(name, set()).add(conditions)


def _add_variable(variable: Variable, path: str, found: Structure) -> None:
    known = found.variables.setdefault(variable.name, variable)
    if known != variable:
        raise ValueError(
            f"{show_path(path)}: the choice {variable.name!r} has the options "
            f"{list(variable.options)} here, and {list(known.options)} at another place; give it "
            "another name"
        )


def check_complete(network: nn.Module, chosen: Mapping[str, str]) -> None:
    """Raises ValueError if a choice that counts is missing; an edited file may lack it."""
    found = find_structure(network)
    of_nodes = {name for names in found.nodes for name in names}
    for name, variable in found.variables.items():
        if name not in chosen and name not in of_nodes and found.is_active(name, chosen):
            raise ValueError(
                f"choices: {name!r} is missing; choose from {', '.join(variable.options)}"
            )


def show_path(path: str) -> str:
    """Returns the path of a module in words: without what this package puts between."""
    words = (word.removeprefix(OPTION) for word in path.split(".") if word not in HOLDERS)
    return ".".join(words) or "network"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def runs(alternatives: Iterable[Conditions], chosen: Mapping[str, str]) -> bool:
    """Returns whether one of several conditions is met."""
    return any(meets(conditions, chosen) for conditions in alternatives)


def list_dependent(structure: Structure, names: Sequence[str]) -> Iterator[str]:
    """Yields choices and all choices that decide whether they count."""
    seen: list[str] = []
    left = [*names]
    while left:
        name = left.pop(0)
        if name in seen:
            continue
        seen.append(name)
        yield name
        left += [other for runs in structure.runs[name] for other, _ in runs]
