"""`completion`: prints a script with which a shell completes verbs and their arguments."""

import argparse
from typing import Any

import shtab
from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

from darts_lite.cli.front.arguments import OWN, TRAINING
from darts_lite.cli.front.short_help import ALL, GROUPS, VERBS
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.presets import list_names
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.playoff.play_off import PlayOff

DEFAULTS = (
    ("model", PlayOff),
    ("model", ArchitectureSearch),
    ("retraining", Retraining),
    ("data", ImageData),
)
"""Groups of the configuration, with the classes whose settings are completed."""


class _Completion(DartsCLI):
    """Prints the script for bash, zsh or tcsh instead of parsing arguments, and exits."""

    def __init__(self, shell: str) -> None:
        self.shell = shell
        super().__init__([])

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Adds the verbs that the LightningCLI does not know, and prints the script."""
        parser.prog = "darts-lite"  # ``python -m darts_lite`` cannot be completed
        verbs = parser._subcommands_action
        assert verbs is not None  # for mypy
        for name, (about, add_arguments) in OWN.items():
            own = ArgumentParser(description=about)
            add_arguments(own)
            verbs.add_subcommand(name, own, help=about)
        for name in TRAINING:
            _add_settings(verbs.choices[name])
        for name, verb in verbs.choices.items():
            for action in verb._actions:
                if "--config" in action.option_strings:
                    action.choices = sum(list_names(), [])
                elif name in VERBS and "--help" in action.option_strings:
                    action.nargs, action.choices = "?", GROUPS
            if name in VERBS:
                verb.add_argument(ALL, action="store_true")
        print(shtab.complete(parser, self.shell))
        parser.exit()


def run(options: argparse.Namespace) -> None:
    """Prints the script, which completes the names of options and values with few choices.

    jsonargparse's own script also has every class that a value could be: 59 MB.
    """
    _Completion(options.shell)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds the settings of the classes in `DEFAULTS` to a parser."""
    for group, kind in DEFAULTS:
        settings = ArgumentParser()
        settings.add_class_arguments(kind, group)
        for action in settings._actions:
            for option in action.option_strings:
                if option not in parser._option_string_actions:
                    parser.add_argument(option).choices = action.choices
