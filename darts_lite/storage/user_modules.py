"""Imports custom modules, which define operations and rules that files name."""

from collections.abc import Iterable
from importlib import import_module
from typing import get_type_hints

FLAG = "--run.imports"


def import_own(names: Iterable[str]) -> None:
    """Imports custom modules; ValueError if one cannot be imported."""
    for name in names:
        try:
            import_module(name)
        except (ImportError, ValueError, TypeError) as error:
            raise ValueError(f"run.imports: cannot import {name!r} ({error})") from error


def names_in(text: str) -> tuple[str, ...]:
    """Returns the names in a list as configurations write it: ``[first, second]``, or one name."""
    return tuple(filter(None, (name.strip(" '\"") for name in text.strip("[] ").split(","))))


def makes_class(path: str) -> bool:
    """Returns False for a function that does not declare to return an object of a class.

    The parser calls any function that is given with arguments, so it must not have side effects.
    """
    module, _, name = path.rpartition(".")
    try:
        named = getattr(import_module(module), name, None) if module else None
        if isinstance(named, type) or not callable(named):
            return True
        returned = get_type_hints(named).get("return")
    except (ImportError, NameError, TypeError):  # a method, or an unreadable hint
        return False
    return isinstance(returned, type) and returned.__module__ not in ("builtins", "typing")


def is_own(path: str) -> bool:
    """Returns True if a path names a class that its module defines, or a function that makes one.

    Names that a module has only imported do not count, because a file could have them called.
    """
    module, _, name = path.rpartition(".")
    named = getattr(import_module(module), name, None)
    inside = f"{getattr(named, '__module__', None)}.".startswith(f"{module}.")
    return inside and callable(named) and makes_class(path)
