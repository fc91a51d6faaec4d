"""`completion`: a script by which a shell completes all verbs and their arguments."""

import argparse
from typing import Any

import shtab
from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

from darts_lite.cli.arguments import OWN, TRAINING
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.cli.presets import names
from darts_lite.data.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch

COMMAND = "darts-lite"
"""What is completed: the words behind ``python -m`` are Python's to complete."""
USUAL = {"model": ArchitectureSearch, "retraining": Retraining, "data": ImageData}


class _Completion(DartsCLI):
    """Prints the script where another command would parse its arguments, and ends.

    Args:
        shell: For which.
    """

    def __init__(self, shell: str) -> None:
        self.shell = shell
        super().__init__([])

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Adds the verbs that the LightningCLI does not know, and prints."""
        parser.prog = COMMAND
        verbs = parser._subcommands_action
        assert verbs is not None  # a LightningCLI that runs has some
        for name, (about, add_arguments, _) in OWN.items():
            own = ArgumentParser(description=about)
            add_arguments(own)
            verbs.add_subcommand(name, own, help=about)
        for name in TRAINING:
            _add_settings(verbs.choices[name])
        for verb in verbs.choices.values():
            for action in verb._actions:
                if "--config" in action.option_strings:
                    action.choices = names()
        print(shtab.complete(parser, self.shell))
        parser.exit()


def run(options: argparse.Namespace) -> None:
    """Prints the script.

    It knows the names of options. jsonargparse's own script knows their values as well, every class
    that each could be: 59 MB.
    """
    _Completion(options.shell)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """The settings of the classes that stand behind three groups unless others are named."""
    for group, kind in USUAL.items():
        settings = ArgumentParser()
        settings.add_class_arguments(kind, group)
        for action in settings._actions:
            for option in action.option_strings:
                if option not in parser._option_string_actions:
                    parser.add_argument(option).choices = action.choices
