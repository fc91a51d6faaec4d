"""Interchangeable parts of a model, kept in checkpoints as plain values."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


def class_path(kind: type) -> str:
    """The name by which a class is imported."""
    return f"{kind.__module__}.{kind.__qualname__}"


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
    path = described.get("class_path")
    for kind in known:
        if path == class_path(kind):
            try:
                return kind(**described.get("init_args", {}))
            except TypeError as error:
                raise ValueError(f"{path} is of another version: {error}") from error
    names = sorted(kind.__name__ for kind in known)
    raise ValueError(f"{path!r} is none of {names}; pass an object of it instead")


def algorithm_of(parts: Iterable[Any], settings: Mapping[str, Any]) -> str:
    """A short name of a search for reports.

    Args:
        parts: Names, or parts whose classes have one.
        settings: Of the search; what is not usual is named too.
    """
    names = [part if isinstance(part, str) else type(part).__name__ for part in parts]
    names += [
        f"{name} {settings[name]}"
        for name, default in (("partial_channels", 1), ("edge_weights", False))
        if settings[name] != default
    ]
    names += ["auxiliary_skip"] if settings["auxiliary_skip"] > 0 else []
    return ", ".join(names)
