"""Prepares the arguments of the LightningCLI, and makes its errors one line."""

import argparse
import difflib
import inspect
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from reprlib import repr as short
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace, get_loader, set_loader, set_parsing_settings
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

import darts_lite
from darts_lite.cli.front.errors import stop
from darts_lite.data.preparation import LARGEST
from darts_lite.runs.presets import FLAGS, is_text, list_names
from darts_lite.runs.settings import RunSettings
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.components import flatten, with_public_paths
from darts_lite.storage.foreign_settings import CHANGED, FILES
from darts_lite.storage.paths import expand
from darts_lite.storage.user_modules import makes_class

FROM_DATA = ("in_channels", "num_classes", "image_size")
"""Arguments of a model that come from the data, and so are in no configuration."""
UNKNOWN = re.compile(
    r"[Oo]ption '([\w.]+)' is not accepted|not accept option '([\w.]+)'"
    r"|unrecognized arguments: --([\w.]+)"
)
"""Messages of the parser about an unknown option, with its name."""
UNKNOWN_CLASS = re.compile(r"Expected a dot import path string: (\w+)")
"""Messages of the parser about a class that it does not find, with its name."""
TUPLES = re.compile(r"\s*\{\s*['\"]\w+['\"]\s*:\s*\[\s*\(")
SHORT_NAME = re.compile(r"(?<![\w.])[A-Za-z]\w*(?![\w.])")
PARTS = (
    "space",
    "relaxation",
    "gradient",
    "derivation",
    "executor",
    "regularizers",
    "strategy",
    "evaluator",
    "class_path",
)
"""Settings that take a class."""
TEXTS = (("data", "dataset"), ("data", "root"))
"""Settings that are paths, or may be: groups with a class, and names."""
GROUPS = ("trainer", "model", "data", "run")
"""Groups that every configuration has."""


SWITCHES = re.compile(r"^( *(?:- |[\w.]+: ))(y|yes|n|no|on|off)$", re.MULTILINE | re.IGNORECASE)
"""Words of YAML 1.1 for true and false, without quotes."""
UNSET = re.compile(r"\bjsonargparse\._common\.Unset\b")


class OneLineParser(LightningArgumentParser):
    """A parser whose errors are one line, without the list of all options."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints what is wrong on standard error and exits with status 2."""
        stop(f"{message}{suggest_option(message)}\n{suggest_class(message)}")

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        """Parses as the base class does, and checks the values with `check_values`."""
        try:
            config = super().parse_args(*args, **kwargs)
        except UnicodeDecodeError as error:
            self.error(f"a configuration file is not UTF-8 text ({error}); give a YAML file")
        if (verb := config.get("subcommand")) is not None:  # else a subparser, without groups
            try:
                check_values(config[verb])
            except ValueError as error:
                self.error(str(error))
        return config

    def dump(self, *args: Any, **kwargs: Any) -> str:
        """Writes the configuration as the base class does, but so that it can be read again.

        What is not set is null, and not the name of a class; and with comments, which the base
        class writes in YAML 1.2, words that YAML 1.1 reads as true or false are in quotes.
        """
        set_parsing_settings(unset_sentinel=False)
        try:
            text = super().dump(*args, **kwargs)
        finally:
            set_parsing_settings(unset_sentinel=True)
        return SWITCHES.sub(r"\1'\2'", UNSET.sub("null", text))


def suggest_option(message: str) -> str:
    """Returns advice if a message is about an unknown option, else an empty text."""
    if (found := UNKNOWN.search(message)) is None:
        return ""
    option = next(filter(None, found.groups()))
    first = option.removeprefix("model.").removeprefix("init_args.").partition(".")[0]
    if first in inspect.signature(ArchitectureSearch).parameters:
        return (
            f"; {first} belongs to darts_lite.ArchitectureSearch, and the model here is another "
            "one: begin with a preset that has it, as --config mnist_cells"
        )
    classes = [getattr(darts_lite, name) for name in darts_lite.__all__]
    known = {
        kind: inspect.signature(kind).parameters
        for kind in (Trainer, RunSettings, *classes)
        if isinstance(kind, type)
    }
    word = option.rpartition(".")[2]
    parts = (LightningModule, LightningDataModule)
    having = [kind for kind, names in known.items() if word in names]
    owners = [k.__name__ for k in having if issubclass(k, parts)] or [k.__name__ for k in having]
    near = difflib.get_close_matches(word, set().union(*known.values()), n=1, cutoff=0.7)
    meant = f" did you mean {near[0]}?" if near else ""
    groups = {"trainer": Trainer, "run": RunSettings}
    placed = [f"{group}.{word}" for group, kind in groups.items() if word in known[kind]]
    if placed and option not in placed:
        meant = f" did you mean --{placed[0]}?"
    elif owners:  # of another class than the one at hand
        meant = f" it is a setting of {' and '.join(owners[:3])};"
    return f";{meant} --print_config=comments lists all settings"


def suggest_class(message: str) -> str:
    """Returns advice if a message is about the name of a class, else an empty text."""
    if "'linked_targets'" in message:  # the parser's own words for what it cannot do
        return (
            "(a function makes a space in a file only, not as an argument: model: {init_args: "
            "{space: darts_lite.mnist_space}})"
        )
    if (found := UNKNOWN_CLASS.search(message)) is None:
        return ""
    near = difflib.get_close_matches(found[1], darts_lite.__all__, n=1, cutoff=0.7)
    if not near and not found[1][0].isupper():  # a word where a number is wanted, for example
        return ""
    meant = f"did you mean darts_lite.{near[0]}? " if near else ""
    return f"({meant}a class of your own is named with its module, as my_parts.{found[1]})"


def spell_out(args: Sequence[str]) -> list[str]:
    """Returns arguments in which this package's classes have their full names, as in `load_yaml`.

    The parser finds a short name only where all classes that fit have a common base.
    """
    found, flag = [], ""
    for word in args:
        name, equals, value = word.partition("=")
        if equals and _is_part(name):
            word = f"{name}={SHORT_NAME.sub(_name_in_full, value)}"
        elif _is_part(flag):
            word = SHORT_NAME.sub(_name_in_full, word)
        flag = word
        found.append(word)
    return found


def keep_texts(args: Sequence[str]) -> list[str]:
    """Returns arguments in which paths that read as YAML, as ``my: photos``, stay texts.

    The parser would take them for settings; quoted in a configuration it does not.
    """
    found, rest = [], [*args]
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        group, _, name = flag.removeprefix("--").replace(".init_args", "").partition(".")
        if (group, name) in TEXTS and (equals or rest):
            value = value if equals else rest.pop(0)
            if not isinstance(_read_yaml(value), str | int | float | None):
                settings = {group: {"init_args": {name: value}}}
                found.append(f"--config={json.dumps(settings)}")
                continue
            word = f"{flag}={value}"
        found.append(word)
    return found


def _read_yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return text


def check_files(args: Sequence[str]) -> None:
    """Raises ValueError if a setting that takes a file of others names a pipe or a device.

    The parser would open it, and wait.
    """
    for flag, word in pairwise([*args, ""]):
        name, equals, value = flag.partition("=")
        if name.rpartition(".")[2] not in FILES:
            continue
        path = Path(value if equals else word)
        if os.path.exists(path) and not (path.is_file() or path.is_dir()):
            raise ValueError(f"{name}: {path} is a pipe or a device; give a file")


def with_full_names(value: Any, is_part: bool = False) -> Any:
    """Returns plain values in which this package's classes have their full names."""
    if isinstance(value, Mapping):
        return {key: with_full_names(entry, _is_part(f"--{key}")) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_full_names(entry, is_part) for entry in value]
    return SHORT_NAME.sub(_name_in_full, value) if is_part and isinstance(value, str) else value


def _is_part(flag: str) -> bool:
    return flag.startswith("--") and flag.rstrip("+").rpartition(".")[2].lstrip("-") in PARTS


def _name_in_full(name: re.Match[str]) -> str:
    return f"darts_lite.{name[0]}" if name[0] in darts_lite.__all__ else name[0]


def list_kept(args: Sequence[str], config: Any) -> Iterator[str]:
    """Tells of each class that has replaced another one which of its arguments it keeps.

    A model, its data and its retraining keep theirs on purpose, as overlays replace them.
    """
    classes: dict[str, str] = {}
    given: dict[str, dict[str, Any]] = {}  # what was set for a class, by the name of its setting
    replaced: dict[str, tuple[str, dict[str, Any]]] = {}
    for settings in read_sources(args):
        flat = {name.replace(".init_args", ""): value for name, value in flatten(settings)}
        for name, value in flat.items():
            part = name.removesuffix(".class_path")
            if "." not in part or (part == name and name not in classes):
                continue
            kind = str(value).rpartition(".")[2]
            if classes.setdefault(part, kind) != kind:
                replaced[part] = (classes[part], given.pop(part, {}))
            classes[part] = kind
        for name, value in flat.items():
            part, _, setting = name.rpartition(".")
            given.setdefault(part, {})[setting] = value
            replaced.get(part, ("", {}))[1].pop(setting, None)
    final = {name.replace(".init_args", ""): value for name, value in flatten(config)}
    for part, (kind, before) in replaced.items():
        kept = {n: v for n, v in before.items() if final.get(f"{part}.{n}", final) == v}
        if kept and classes[part] != kind:
            told = ", ".join(f"{name} {value}" for name, value in kept.items())
            yield f"{part} is {classes[part]} now, and keeps of {kind}: {told}; set what it needs"


def read_sources(args: Sequence[str]) -> Iterator[Any]:
    """Yields what each configuration and each argument sets, in their order."""
    words = iter(args)
    for word in words:
        flag, equals, value = word.partition("=")
        if not flag.startswith("-"):
            continue
        value = value if equals else next(words, "")
        if flag in FLAGS:
            yield load_yaml(value if is_text(value) else Path(value).read_text(encoding="utf-8"))
            continue
        try:
            yield {flag.lstrip("-"): load_yaml(value)}
        except (yaml.YAMLError, RecursionError, ValueError):
            yield {flag.lstrip("-"): value}  # a text


def prepare_parsing() -> None:
    """Sets jsonargparse up; spaces may be of subclasses of `SearchSpace`, or made by functions."""
    set_parsing_settings(
        subclasses_enabled=[SearchSpace],
        unset_sentinel=True,  # checks null like any other value
        import_path_denylist=[],  # nothing beside the default: os, subprocess, builtins, ...
    )
    set_loader("yaml", load_yaml, (yaml.YAMLError, RecursionError, ValueError))


_load_yaml = get_loader("yaml")


def load_yaml(text: str) -> Any:
    """Returns the value of a YAML text, with the public names of classes in place of others.

    Cells as Python prints them, with tuples, stay text: YAML would take their parts for words.
    """
    if text == str(None):  # what jsonargparse makes of the null of a class within a class
        return None
    if TUPLES.match(text):
        return text
    return with_full_names(with_public_paths(_load_yaml(text)))


def check_values(config: Any) -> None:
    """Checks that all groups are there, numbers are usable, and functions declare a class."""
    for name in GROUPS:
        if not isinstance(config.get(name), Namespace):
            advice = ""
            if name == "model" and config.get(name) is None:
                presets = ", ".join(list_names()[0])
                advice = f"; give a configuration, --config FILE or one of {presets}"
            raise ValueError(f"{name} must hold settings, got {short(config.get(name))}{advice}")
    for name, value in flatten(config.as_dict()):
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError(f"{name} has more than 64 bits: {short(value)}")
        if isinstance(value, float) and value != value:
            raise ValueError(f"{name} is not a number (nan)")
        if isinstance(value, float) and LARGEST < abs(value) < math.inf:
            raise ValueError(f"{name} must be at most {LARGEST:g}, or .inf; got {value:g}")
        if name.endswith("class_path") and not makes_class(str(value)):
            raise ValueError(f"{name}: the function {value} must be declared to return a class")


def add_checkpoint_settings(args: Sequence[str]) -> tuple[list[str], Checkpoint | None]:
    """Puts the settings of ``--ckpt_path`` in front of the user's arguments.

    So `test`, `validate` and `predict` need only a checkpoint, and use the data of its run. The
    checkpoint is returned if one is read.
    """
    verb, *rest = args or [""]
    if verb not in ("test", "validate", "predict"):
        return list(args), None
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--ckpt_path")
    finder.add_argument("--run.imports", dest="imports", type=yaml.safe_load, default=[])
    found = finder.parse_known_args(rest)[0]
    path, imports = found.ckpt_path, found.imports
    if path is None:
        if not {"-c", "--config", "-h", "--help"} & {word.split("=")[0] for word in rest}:
            raise ValueError(f"{verb} needs --ckpt_path with the path of a run's .ckpt file")
        return list(args), None
    checkpoint = Checkpoint.read(expand(path, "ckpt_path"))
    groups = checkpoint.configuration(imports if isinstance(imports, list) else [imports])
    if verb != "validate" and checkpoint.model != "Retraining":
        raise ValueError(f"{path} is the checkpoint of a search; {verb} takes the run's net.ckpt")
    model = {**groups["model"], "init_args": checkpoint.settings}
    for name in FROM_DATA:
        model["init_args"].pop(name, None)
    try:
        settings = yaml.safe_dump(groups | {"model": model})
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(f"{path}: its settings are not all plain values; {CHANGED}") from error
    return [verb, f"--config={settings}", *rest], checkpoint
