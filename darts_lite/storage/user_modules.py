"""Modules of a user's own: those that define the operations and rules which files name."""

from collections.abc import Iterable
from importlib import import_module
from typing import get_type_hints

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


def makes_class(path: str) -> bool:
    """Whether this is no function at all, or one that is declared to return an object of a class.

    The parser calls whatever function is given together with arguments, also one that only acts.
    """
    module, _, name = path.rpartition(".")
    try:
        named = getattr(import_module(module), name, None) if module else None
        if isinstance(named, type) or not callable(named):
            return True
        returned = get_type_hints(named).get("return")
    except (ImportError, NameError, TypeError):  # a method, or a hint that cannot be read
        return False
    return isinstance(returned, type) and returned.__module__ not in ("builtins", "typing")


def is_own(path: str) -> bool:
    """Whether a path names a class of its module's own, or a function of it that makes one.

    What a module has only imported from elsewhere is not its own: a file may not have it called.
    """
    module, _, name = path.rpartition(".")
    named = getattr(import_module(module), name, None)
    inside = f"{getattr(named, '__module__', None)}.".startswith(f"{module}.")
    return inside and callable(named) and makes_class(path)
