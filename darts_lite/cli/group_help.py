"""`--help` that needs the parser: the settings of one group, or the values of a configuration."""

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer

from darts_lite.cli.front.arguments import ABOUT_SWEEP
from darts_lite.cli.front.errors import guard
from darts_lite.cli.front.short_help import FLAGS, write_screen
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.cli.parsing import FROM_DATA, prepare_parsing, read_sources
from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.settings import TRAINER_DEFAULTS, BudgetSettings, RunSettings
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.storage.components import class_path, flatten

CLASSES: Mapping[str, type] = {
    "model": PlayOff,
    "retraining": Retraining,
    "data": ImageData,
    "budget": BudgetSettings,
    "run": RunSettings,
    "trainer": Trainer,
}
"""Groups, each with the class of its settings if no configuration names another one."""
REPLACEABLE = ("model", "retraining", "data")
"""Groups whose class a configuration may name."""
FOUND = {"retraining": ("architecture",)}
"""Settings of a group that come from the search."""


def main(group: str, words: Sequence[str]) -> None:
    """Prints the settings of a group, of the class that the words behind the verb name for it."""
    guard(lambda: print_settings(group, _find_class(group, words)))


def show_screen(verb: str, words: Sequence[str]) -> None:
    """Prints the help of a verb on one screen, with the values that the words behind it set."""
    guard(lambda: print(write_screen(verb, _read_values(words)), flush=True))


class _Values(DartsCLI):
    """The settings of a `fit`, parsed only."""

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def _read_values(words: Sequence[str]) -> dict[str, str]:
    """Returns the values of all settings by their names on the command line, classes by theirs."""
    config = _Values(["fit", *(word for word in words if word not in FLAGS)]).config["fit"]
    found = {}
    for name, value in flatten(config.as_dict()):
        setting = name.replace(".init_args", "")
        if setting.endswith(".class_path"):
            value = str(value).rpartition(".")[2]
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        found[f"--{setting.removesuffix('.class_path')}"] = text
    return found


def print_settings(group: str, kind: type) -> None:
    """Prints the settings of a class as those of a group: their types, defaults and what they are.

    Those that come from the data or the search are left out.
    """
    about = "Defaults are those without a configuration; --print_config tells those with one."
    if group in REPLACEABLE:
        about = f"{class_path(kind)}. {about}"
    if group == "run":
        about += f" {ABOUT_SWEEP}."
    if group == "model":
        about += " Other presets have other models: --config mnist_cells --help model."
    parser = ArgumentParser(usage=argparse.SUPPRESS, description=about, add_help=False)
    skipped = {*FROM_DATA, *FOUND.get(group, ())} if group in ("model", "retraining") else set()
    parser.add_class_arguments(kind, group, skip=skipped, sub_configs=True)
    if group == "trainer":
        parser.set_defaults({f"{group}.{name}": value for name, value in TRAINER_DEFAULTS.items()})
    parser.print_help()


def _find_class(group: str, words: Sequence[str]) -> type:
    """Returns the class that configurations and arguments name for a group, the last one of them.

    Raises ValueError if there is no such class.
    """
    prepare_parsing()
    path = class_path(CLASSES[group])
    for settings in read_sources(words) if group in REPLACEABLE else ():
        named: Any = settings.get(group) if isinstance(settings, Mapping) else None
        if isinstance(named, Mapping):
            named = named.get("class_path")
        path = named or settings.get(f"{group}.class_path") or path
    module, _, name = (path if "." in path else f"darts_lite.{path}").rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{group}: there is no class {path} ({error})") from error
    if not isinstance(kind, type):
        raise ValueError(f"{group}: {path} is no class")
    return kind
