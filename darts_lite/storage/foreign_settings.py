"""Checks the classes, arguments and texts that a stranger's file gives for a configuration."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, get_args, get_origin

import darts_lite
from darts_lite.storage.components import public_path

PACKAGE = "darts_lite."
FILES = ("architecture", "latency_table")
"""Arguments that a configuration may give as paths; a checkpoint holds the files' content."""
CLASSES: Mapping[str, str] = {"darts_lite.NetworkSpace": "network"}
"""Classes of this package with the argument that names a class of the user's."""
CHANGED = "it was changed, or is of another version; give an intact .ckpt file of a run"


def refuse_files(path: Path, value: object) -> None:
    """Raises a ValueError if one of the arguments `FILES` inside is not the content of its file."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            if name in FILES and not isinstance(entry, Mapping | None):
                raise ValueError(
                    f"{path}: {name} is {short(entry)}, and a checkpoint may not name what is to "
                    f"be opened; {CHANGED}"
                )
            refuse_files(path, entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            refuse_files(path, entry)


def find_loaded(class_path: str) -> Any:
    """Returns what a class path in a file names; None if that is not known.

    Only public classes may be imported because a file names them; others must be loaded already.
    """
    module, _, name = class_path.rpartition(".")
    place = darts_lite if name in darts_lite.__all__ else sys.modules.get(module)
    return getattr(place, name, None)


def check_arguments(path: str | Path, class_path: str, arguments: Any) -> None:
    """Raises a ValueError unless a class path and its arguments fit a class of this package."""
    named = find_loaded(class_path)
    module, _, name = class_path.rpartition(".")
    if not isinstance(named, type) or module not in ("darts_lite", named.__module__):
        raise ValueError(f"{path} names {short(class_path)}, an unknown class; {CHANGED}")
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{path}: settings of {name} are {short(arguments)}; {CHANGED}")
    takes = inspect.signature(named).parameters
    for key, value in arguments.items():
        if key in takes:
            _check_texts(path, f"{name}.{key}", takes[key].annotation, value)
    space = arguments.get("space")
    if isinstance(space, Mapping) and "class_path" not in space:
        check_arguments(path, f"{PACKAGE}SearchSpace", space)
    unknown = [key for key in arguments if key not in takes]
    if unknown:
        raise ValueError(f"{path} is of another version: {name} takes no {short(unknown)}")
    try:
        inspect.signature(named).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"{path} is of another version: {name} is {error}") from error


def _check_texts(path: str | Path, name: str, annotation: Any, value: Any) -> None:
    """Raises a ValueError for a text in a value that is no text.

    The parser would take it for the name of a class to import, or for a configuration to open.
    """
    if isinstance(value, str) and not _is_text(annotation, value):
        raise ValueError(f"{path}: {name} is {short(value)}, a text; {CHANGED}")
    if isinstance(value, list | tuple):
        for entry in value:
            _check_texts(path, name, annotation, entry)


def _is_text(annotation: Any, value: str) -> bool:
    """Returns whether a text may be a value, or an entry of one, of an annotated type."""
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if get_origin(annotation) in (dict, Mapping, Callable):
        return False
    return annotation is str or any(_is_text(part, value) for part in get_args(annotation))


def list_classes(value: object) -> Iterator[tuple[str, Any]]:
    """Yields the class paths inside, each with its arguments."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            if others := [key for key in value if key not in ("class_path", "init_args")]:
                raise ValueError(
                    f"beside class_path and init_args stands {short(others[0])}; {CHANGED}"
                )
            if not isinstance(value["class_path"], str):
                raise ValueError(f"class_path is {short(value['class_path'])}, no text; {CHANGED}")
            arguments = value.get("init_args", {})
            yield value["class_path"], arguments
            named = CLASSES.get(public_path(value["class_path"]))
            if named is not None and isinstance(arguments, Mapping):
                yield str(arguments.get(named)), {}
        for entry in value.values():
            yield from list_classes(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from list_classes(entry)
