"""Modules of a user's own: those that define the operations and rules which files name."""

from collections.abc import Iterable
from importlib import import_module

FLAG = "--run.imports"


def import_own(names: Iterable[str]) -> None:
    """Imports modules.

    Raises:
        ValueError: if one cannot be imported.
    """
    for name in names:
        try:
            import_module(name)
        except (ImportError, ValueError, TypeError) as error:
            raise ValueError(f"run.imports: cannot import {name!r} ({error})") from error


def names_in(text: str) -> tuple[str, ...]:
    """The names in a list as a configuration has it: ``[first, second]``, or just one."""
    return tuple(filter(None, (name.strip(" '\"") for name in text.strip("[] ").split(","))))
