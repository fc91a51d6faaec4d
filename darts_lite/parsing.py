"""Between command line and LightningCLI: a checkpoint's settings, errors of one line."""

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import yaml
from lightning.pytorch.cli import LightningArgumentParser

from darts_lite.checkpoints import settings_of

TESTED = "darts_lite.retraining.Retraining"
FROM_DATA = ("in_channels", "num_classes")
"""Settings of a model that are taken from the data, and so appear in no configuration."""
PARSER_NOISE = (
    "Does not validate against any of the Union",
    "Subtypes:",
    "Errors:",
    "Expected a <class 'NoneType'>",
    "Given value",
)


def stop(message: str) -> NoReturn:
    """Prints a message as one line on standard error and exits with status 2."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    telling = [line for line in lines if line and not line.startswith(PARSER_NOISE)]
    print("error:", " ".join(telling or lines), file=sys.stderr)
    raise SystemExit(2)


@contextmanager
def quiet_events() -> Iterator[None]:
    """Keeps TensorBoard's thread from printing what its next event raises in the run itself."""
    before = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        told = type(failed.thread).__module__.startswith("tensorboard.")
        if not (told and isinstance(failed.exc_value, OSError)):
            before(failed)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


class OneLineParser(LightningArgumentParser):
    """A parser whose errors are one line, without the usage of some hundred options."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints what is wrong on standard error and exits with status 2."""
        stop(message)


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
    if verb != "validate" and groups["model"]["class_path"] != TESTED:
        raise ValueError(f"{path} is the checkpoint of a search; {verb} takes the run's net.ckpt")
    for name in FROM_DATA:
        groups["model"]["init_args"].pop(name, None)
    return [verb, f"--config={yaml.safe_dump(groups)}", *rest]
