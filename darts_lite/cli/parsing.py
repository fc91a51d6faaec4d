"""Between command line and LightningCLI: a checkpoint's settings, errors of one line."""

import argparse
import difflib
import inspect
import re
from collections.abc import Iterable, Sequence
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
from darts_lite.storage.checkpoints import CHANGED, check_size, flat, settings_of
from darts_lite.storage.components import with_public_paths
from darts_lite.storage.user_modules import makes_class

TESTED = "darts_lite.Retraining"
FROM_DATA = ("in_channels", "num_classes")
"""Settings of a model that are taken from the data, and so appear in no configuration."""
UNKNOWN = re.compile(
    r"[Oo]ption '([\w.]+)' is not accepted|not accept option '([\w.]+)'"
    r"|unrecognized arguments: --([\w.]+)"
)
"""Ways in which the parser says that there is no such option."""
ALIKE = 0.7
"""How alike a word must be to an option to be taken for it, of 0 to 1."""
MOST_VALUES = 100_000
"""Most values that a configuration may have once its aliases are replaced by what they name."""
LARGEST_INTEGER = 2**63 - 1
GROUPS = ("trainer", "model", "data", "run")
"""Parts of a configuration that are never left out."""


class OneLineParser(LightningArgumentParser):
    """A parser whose errors are one line, without the usage of some hundred options."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints what is wrong on standard error and exits with status 2."""
        stop(message + nearest(message))

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        """As the parser it extends, which lets pass what no setting can be: see `check_values`."""
        try:
            config = super().parse_args(*args, **kwargs)
        except UnicodeDecodeError as error:
            self.error(f"a configuration file is no UTF-8 text ({error}); give a YAML file")
        if (verb := config.get("subcommand")) is not None:  # else these are the verb's own
            try:
                check_values(config[verb])
            except ValueError as error:
                self.error(str(error))
        return config

    def dump(self, *args: Any, **kwargs: Any) -> str:
        """As the parser it extends, which writes null as text where null is a value like others."""
        set_parsing_settings(unset_sentinel=False)
        try:
            return super().dump(*args, **kwargs)
        finally:
            set_parsing_settings(unset_sentinel=True)


def nearest(message: str) -> str:
    """What a user may have meant by an option that a message says is none; empty for others."""
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
    near = difflib.get_close_matches(given, known, 1, ALIKE)
    meant = f" did you mean {near[0]}?" if near else ""
    return f";{meant} --print_config=comments tells all settings"


def prepare_parsing(extensible: Sequence[type]) -> None:
    """Sets the parser up to take what a configuration may hold, and nothing else.

    Args:
        extensible: Dataclasses whose subclasses, and functions that return them, are accepted.
    """
    set_parsing_settings(
        subclasses_enabled=list(extensible),
        unset_sentinel=True,  # so that null is a value like others, and checked as they are
        import_path_denylist=[],  # beside those that are denied: os, subprocess, builtins, ...
    )
    set_loader("yaml", load_yaml, (yaml.YAMLError, RecursionError))


_load_yaml = get_loader("yaml")


def load_yaml(text: str) -> Any:
    """The value of a YAML text, unless aliases make it grow beyond all bounds.

    Raises:
        yaml.YAMLError: if they do, or it is no YAML.
    """
    try:
        if "*" in text and (root := yaml.compose(text, Loader=yaml.CSafeLoader)) is not None:
            check_size(root, _parts, MOST_VALUES)
        return with_public_paths(_load_yaml(text))  # a file may be older than the layout
    except ValueError as error:  # also of a number with thousands of digits
        raise yaml.YAMLError(str(error)) from error


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    """What a node holds, its aliases replaced."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def check_values(config: Any) -> None:
    """Refuses what no setting can be, whatever its type.

    Raises:
        ValueError: if a group is no group, a number is NaN or has more than 64 bits, or a function
            that is named does not say what it makes.
    """
    for name in GROUPS:
        if not isinstance(config.get(name), Namespace):
            advice = ""
            if name == "model" and config.get(name) is None:
                advice = f"; give a configuration, --config FILE or one of {', '.join(names())}"
            raise ValueError(f"{name} must hold settings, got {short(config.get(name))}{advice}")
    for name, value in flat(config.as_dict()):
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise ValueError(f"{name} has more than 64 bits: {short(value)}")
        if isinstance(value, float) and value != value:
            raise ValueError(f"{name} is no number (nan)")
        if name.endswith("class_path") and not makes_class(str(value)):
            raise ValueError(f"{name}: the function {value} must be declared to return a class")


def with_checkpoint_settings(args: Sequence[str]) -> list[str]:
    """Puts the settings of ``--ckpt_path`` ahead of the user's own arguments.

    So `test`, `validate` and `predict` need nothing but a checkpoint, on the data it was made for.

    Raises:
        FileNotFoundError, ValueError: if the checkpoint cannot be used.
    """
    verb, *rest = args or [""]
    if verb not in ("test", "validate", "predict"):
        return list(args)
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--ckpt_path")
    finder.add_argument("--run.imports", dest="imports", type=yaml.safe_load, default=[])
    found = finder.parse_known_args(rest)[0]
    path, imports = found.ckpt_path, found.imports
    if path is None:
        if not {"-c", "--config", "-h", "--help"} & {word.split("=")[0] for word in rest}:
            raise ValueError(f"{verb} needs --ckpt_path with the path of a run's .ckpt file")
        return list(args)
    groups = settings_of(path, imports if isinstance(imports, list) else [imports])
    if verb != "validate" and groups["model"].get("class_path") != TESTED:
        raise ValueError(f"{path} is the checkpoint of a search; {verb} takes the run's net.ckpt")
    for name in FROM_DATA:
        groups["model"]["init_args"].pop(name, None)
    try:
        return [verb, f"--config={yaml.safe_dump(groups)}", *rest]
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(f"{path} holds settings that are no plain values; {CHANGED}") from error
