"""Tells which settings of a configuration differ from their defaults."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import Trainer

from darts_lite.runs.settings import TRAINER_DEFAULTS, BudgetSettings, RunSettings
from darts_lite.storage.components import class_path
from darts_lite.storage.foreign_settings import find_loaded

GROUPS: Mapping[str, type] = {"run": RunSettings, "trainer": Trainer, "budget": BudgetSettings}
"""Groups of a configuration that are no classes of their own, with what takes their settings."""


def list_changed(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the names and values of settings that differ from their defaults.

    The levels ``class_path`` and ``init_args`` are left out of the names. Classes stand under their
    short names, and those that are not loaded with all their settings: nothing is imported because
    a file names it.
    """
    for name, value in config.items():
        if name in GROUPS and isinstance(value, Mapping):
            ours = TRAINER_DEFAULTS if name == "trainer" else {}
            yield from _compare(name, value, {**_read_defaults(GROUPS[name]), **ours})
        elif value is not None:
            yield from _tell(name, value)


def _compare(
    name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for key, value in given.items():
        if key not in defaults or _as_written(value) != _as_written(defaults[key]):
            yield from _tell(f"{name}.{key}", value)


def _tell(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        for number, entry in enumerate(value):
            yield from _tell(f"{name}[{number}]", entry)
    elif isinstance(value, Mapping) and "class_path" in value:
        path, arguments = str(value["class_path"]), value.get("init_args")
        yield name, path.rpartition(".")[2]
        if isinstance(arguments, Mapping):
            yield from _compare(name, arguments, _read_defaults(find_loaded(path)))
    elif isinstance(value, Mapping) and value:
        yield from _compare(name, value, {})
    else:
        yield name, "null" if value is None else str(value)


def _read_defaults(kind: Any) -> dict[str, Any]:
    if not isinstance(kind, type):
        return {}
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):  # of a builtin class
        return {}
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def _as_written(value: Any) -> Any:
    """Returns a value as a configuration would have it: lists, and paths of functions."""
    if callable(value):
        return class_path(value)
    return [_as_written(entry) for entry in value] if isinstance(value, list | tuple) else value
