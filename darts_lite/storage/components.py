"""Interchangeable parts of a model, kept in checkpoints as plain values."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import darts_lite


def class_path(kind: type) -> str:
    """Returns the name by which a class is imported: the public one where it has one."""
    return public_path(f"{kind.__module__}.{kind.__qualname__}")


def public_path(path: str) -> str:
    """Returns the public name of what a path stands for, so that files outlive the layout.

    Args:
        path: ``darts_lite.ArchitectureSearch``, for instance, becomes
            ``darts_lite.ArchitectureSearch``; paths without a public name stay as they are.
    """
    name = path.rpartition(".")[2]
    is_public = path.startswith("darts_lite.") and name in darts_lite.__all__
    return f"darts_lite.{name}" if is_public else path


def with_public_paths(value: Any) -> Any:
    """Returns plain values in which every class has its public name; see `public_path`."""
    if isinstance(value, Mapping):
        return {
            key: public_path(entry)
            if key == "class_path" and isinstance(entry, str)
            else with_public_paths(entry)
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(map(with_public_paths, value))
    return value


def describe_part(part: Any) -> dict[str, Any]:
    """Class and settings of a part, as plain values from which it can be built again.

    Raises:
        ValueError: if it is no dataclass, whose settings are not known.
    """
    kind = type(part)
    if not is_dataclass(part) or isinstance(part, type):
        raise ValueError(
            f"{class_path(kind)} must be a dataclass, so that a checkpoint can keep its settings"
        )
    return {"class_path": class_path(kind), "init_args": asdict(part)}


def part_of(described: Any, known: Collection[type]) -> Any:
    """A part as it is, or built from what `describe_part` returned.

    Args:
        described: A part, or a mapping with its class and settings.
        known: Classes that may be built.

    Raises:
        ValueError: if its class is none of them, or takes other settings.
    """
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
    raise ValueError(f"{path!r} is none of {names}; pass an object of it instead")
