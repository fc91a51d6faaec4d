"""Prepares the arguments of the LightningCLI, and makes its errors one line."""

import argparse
import difflib
import inspect
import re
from collections.abc import Sequence
from reprlib import repr as short
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace, get_loader, set_loader, set_parsing_settings
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser

import darts_lite
from darts_lite.cli.errors import stop
from darts_lite.cli.presets import names
from darts_lite.runs.settings import RunSettings
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.storage.checkpoints import CHANGED, Checkpoint, flatten
from darts_lite.storage.components import with_public_paths
from darts_lite.storage.places import expand
from darts_lite.storage.user_modules import makes_class

FROM_DATA = ("in_channels", "num_classes")
"""Arguments of a model that come from the data, and so are in no configuration."""
UNKNOWN = re.compile(
    r"[Oo]ption '([\w.]+)' is not accepted|not accept option '([\w.]+)'"
    r"|unrecognized arguments: --([\w.]+)"
)
"""Messages of the parser about an unknown option, with its name."""
GROUPS = ("trainer", "model", "data", "run")
"""Groups that every configuration has."""


class OneLineParser(LightningArgumentParser):
    """A parser whose errors are one line, without the list of all options."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints what is wrong on standard error and exits with status 2."""
        stop(message + suggest_option(message))

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
        """Writes the configuration as the base class does, but null as null and not as text."""
        set_parsing_settings(unset_sentinel=False)
        try:
            return super().dump(*args, **kwargs)
        finally:
            set_parsing_settings(unset_sentinel=True)


def suggest_option(message: str) -> str:
    """Returns advice if a message is about an unknown option, else an empty text."""
    if (found := UNKNOWN.search(message)) is None:
        return ""
    classes = [getattr(darts_lite, name) for name in darts_lite.__all__]
    known = {
        name
        for kind in (Trainer, RunSettings, *classes)
        if isinstance(kind, type)
        for name in inspect.signature(kind).parameters
    }
    given = next(filter(None, found.groups())).rpartition(".")[2]
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.7)
    meant = f" did you mean {near[0]}?" if near else ""
    return f";{meant} --print_config=comments lists all settings"


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
    """Returns the value of a YAML text, with the public names of classes in place of old ones."""
    return with_public_paths(_load_yaml(text))


def check_values(config: Any) -> None:
    """Checks that all groups are there, numbers are usable, and functions declare a class."""
    for name in GROUPS:
        if not isinstance(config.get(name), Namespace):
            advice = ""
            if name == "model" and config.get(name) is None:
                advice = f"; give a configuration, --config FILE or one of {', '.join(names())}"
            raise ValueError(f"{name} must hold settings, got {short(config.get(name))}{advice}")
    for name, value in flatten(config.as_dict()):
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError(f"{name} has more than 64 bits: {short(value)}")
        if isinstance(value, float) and value != value:
            raise ValueError(f"{name} is not a number (nan)")
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
