"""What both kinds of search share."""

from collections.abc import Iterable, Mapping
from typing import Any


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
