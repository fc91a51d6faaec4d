"""Presets and overlays, read and built without a parser of command lines.

What `darts_lite fit --config …` does with its files, where the packages that it parses with are not
to be had: `merged` stacks them and `built` makes the objects. Nothing is checked beforehand; a
mistake is the error of the class that is built.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

import yaml
from torch.optim import Optimizer

from darts_lite.runs.presets import folder

Config = dict[str, Any]


def read(*names: str) -> Config:
    """Returns presets stacked, such as ``mnist`` and ``algorithms/gdas``, the first one below."""
    stacked: Config = {}
    for name in names:
        text = (folder() / f"{name}.yaml").read_text(encoding="utf-8")
        stacked = merged(stacked, yaml.safe_load(text))
    return stacked


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """Returns two configurations as one.

    Mappings are merged, everything else is replaced; ``name+`` adds to the list ``name``. Another
    class takes over what it takes of the arguments of the one below.
    """
    base = dict(base)
    if "class_path" in base and "class_path" in over:
        kind = named(over["class_path"])
        if kind is not named(base["class_path"]):
            given, takes = base.get("init_args", {}), signature(kind).parameters
            base["init_args"] = {name: value for name, value in given.items() if name in takes}
    for name, value in over.items():
        below = base.get(name.rstrip("+"))
        if name.endswith("+"):
            base[name.rstrip("+")] = [*(below or []), *value]
        elif isinstance(below, Mapping) and isinstance(value, Mapping):
            base[name] = merged(below, value)
        else:
            base[name] = value
    return base


def built(value: Any) -> Any:
    """Returns a setting with each ``class_path`` made an object; of an optimizer, what makes it."""
    if isinstance(value, list):
        return [built(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if "class_path" not in value:
        return {name: built(one) for name, one in value.items()}
    is_optimizer = issubclass(named(value["class_path"]), Optimizer)
    return maker(value) if is_optimizer else maker(value)()


def maker(part: Mapping[str, Any]) -> Callable[..., Any]:
    """Returns the class of a part with its arguments, to be called with those that are missing."""
    return partial(named(part["class_path"]), **built(part.get("init_args", {})))


def named(class_path: str) -> type:
    """Returns the class of a path."""
    module, _, name = class_path.rpartition(".")
    found = getattr(import_module(module), name)
    if not isinstance(found, type):
        raise TypeError(f"{class_path} is no class")
    return found
