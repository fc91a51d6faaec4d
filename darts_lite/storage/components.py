"""Interchangeable components of a model, kept in checkpoints as plain values."""

import difflib
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import darts_lite

LONGEST = 200
"""Largest number of characters of a name in a message."""


def class_path(kind: type) -> str:
    """Returns the import path of a class; the public path if it has one."""
    return public_path(f"{kind.__module__}.{kind.__qualname__}")


def public_path(path: str) -> str:
    """Returns the public form of an import path, so that files outlive the package's layout.

    ``darts_lite.search.architecture_search.ArchitectureSearch``, for instance, becomes
    ``darts_lite.ArchitectureSearch``. Paths without a public name stay as they are.
    """
    name = path.rpartition(".")[2]
    is_public = path.startswith("darts_lite.") and name in darts_lite.__all__
    return f"darts_lite.{name}" if is_public else path


def with_public_paths(value: Any) -> Any:
    """Returns plain values in which every class and function has its public path."""
    if isinstance(value, str):
        return public_path(value)
    if isinstance(value, Mapping):
        return {key: with_public_paths(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(with_public_paths, value))
    return value


def flatten(value: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the names and values inside, as ``data.init_args.seed`` or ``model.layers[0]``."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from flatten(entry, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from flatten(entry, f"{name}[{index}]")
    else:
        yield name, value


def describe_component(component: Any) -> dict[str, Any]:
    """Returns class and settings of a dataclass object, for `build_component` to build it again."""
    kind = type(component)
    if not is_dataclass(component) or isinstance(component, type):
        raise ValueError(
            f"{class_path(kind)} must be a dataclass, so that a checkpoint can keep its settings"
        )
    return {"class_path": class_path(kind), "init_args": asdict(component)}


def find_loaded(what: str, path: object, base: type) -> Any:
    """Returns the class of a path ``module.Name``, without importing anything.

    A file of unknown origin may name it: only subclasses of `base` from modules that are loaded
    already are accepted.

    Args:
        what: The setting, for the message.

    Raises:
        ValueError: if there is no such class.
    """
    place, _, name = str(path).rpartition(".")
    module, wanted = sys.modules.get(place), f"a subclass of {class_path(base)}"
    told = ascii(str(path)[:LONGEST])  # whatever a file holds stays on its line
    if module is None:
        raise ValueError(
            f"{what}: {told} is unknown; name {wanted} as module.Name, whose module is imported "
            f"(run.imports: [{place or 'my_module'}])"
        )
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, base):
        return found
    if found is not None:
        raise ValueError(f"{what}: {told} is no class of that kind; name {wanted}")
    near = difflib.get_close_matches(name, vars(module), n=1)
    meant = f"; did you mean {place}.{near[0]}?" if near else ""
    raise ValueError(f"{what}: {place} has no {name[:LONGEST]!a}; name {wanted}{meant}")


def build_loaded(what: str, path: object, settings: Mapping[str, Any], base: type) -> Any:
    """Builds an object of a class that `find_loaded` finds; ValueError if it cannot be built."""
    kind = find_loaded(what, path, base)
    try:
        return kind(**settings)
    except Exception as error:  # whatever a class of somebody else raises
        raise ValueError(
            f"{what}: {path} cannot be built with {dict(settings)}: {type(error).__name__}: {error}"
        ) from error


def build_component(described: Any, known: Collection[type]) -> Any:
    """Builds a `known` class from what `describe_component` returned; returns others unchanged."""
    if not isinstance(described, Mapping):
        return described
    path = public_path(str(described.get("class_path")))
    for kind in known:
        if path == class_path(kind):
            try:
                return kind(**described.get("init_args", {}))
            except TypeError as error:
                raise ValueError(f"{path} is of another version: {error}") from error
    names = sorted(kind.__name__ for kind in known)
    raise ValueError(f"{path!r} is not one of {names}; pass an object of the class instead")
