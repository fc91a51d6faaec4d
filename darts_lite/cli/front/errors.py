"""Prints a user's mistake as one line, without a traceback."""

import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

MISTAKE = "MisconfigurationException"
"""Lightning's error for a user's mistake, known by its name as Lightning takes seconds to load."""
HARMLESS_WARNINGS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning on a newer torch
    r"The number of training batches .* is smaller than the logging interval",
    r"Be aware that when using `ckpt_path`, callbacks",  # evaluation needs none of them
    r"You're using the WeightAveraging callback, but",
    r"The dirpath has changed",  # a resumed run writes to its own folder
    r"Detected call of `lr_scheduler.step\(\)` before",  # float16 skips the first steps
    r"Glyph \d+ .* missing from font",  # a name in letters that matplotlib's font lacks
    r"Checkpoint directory .* exists and is not empty",  # both stages write there
)
"""Patterns for the start of Lightning's and torch's warnings that need no action here."""
PARSER_NOISE = (
    "Does not validate against any of the Union",
    "Subtypes:",
    "Errors:",
    "Expected a <class 'NoneType'>",
    "Given value",
    "Subclass types expect one of",
    "a class path (str)",
    "a dict with",
    "a dict without",
    "Expected a dot import path string: Namespace(",
)
"""Beginnings of lines in jsonargparse's messages that do not say what is wrong."""
EXPECTED = re.compile(r"Expected a <class '(\w+)'>(?:\. Got value: )?")
VALUE = "Given value: "
GROUP = re.compile(r"Parser key \"(\w+)\": Unable to load config (['\"])(.*?)\2.*")
"""A value, or no file, where settings stand."""
CLASS = re.compile(r"(?:Expected a path but .*? invalid )?Expected a dot import path string: (\S+)")
"""A value where a class stands."""
CHOICE = re.compile(r"Expected a typing\.Literal\[(.*?)\](?:\. Got value: (.*))?")
"""A value where one of a few words stands."""
TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}
"""What jsonargparse expects, in words."""
LONGEST = 1_000
"""Largest number of characters of a message that are printed, as it may quote a long value."""


def guard(command: Callable[[], object]) -> None:
    """Runs a command; a user's mistake ends it with status 2 and one line on standard error.

    The environment variable ``DARTS_LITE_DEBUG`` adds the traceback.
    """
    quiet_libraries()
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    try:
        with silence_tensorboard():
            command()
    except BrokenPipeError:  # the reader of the output has ended, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if "DARTS_LITE_DEBUG" in os.environ or not is_mistake(error):
            raise
        if isinstance(error, OSError) and error.filename is not None:  # by the system
            stop(f"cannot use {error.filename} ({error.strerror}); choose another place")
        stop(str(error))


def quiet_libraries() -> None:
    """Leaves out Lightning's notes, and the warnings of libraries that need no action here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message)


def is_mistake(error: Exception) -> bool:
    """Returns whether an error is told as a user's mistake."""
    is_lightning = any(kind.__name__ == MISTAKE for kind in type(error).__mro__)
    return isinstance(error, ValueError | OSError) or is_lightning


def stop(message: str) -> NoReturn:
    """Prints a message as one line on standard error and exits with status 2."""
    print("error:", shorten_message(message), file=sys.stderr)
    raise SystemExit(2)


def shorten_message(message: str) -> str:
    """Returns a message as one line, without what the parser says of all that it has tried."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    useful = [line for line in lines if line and not line.startswith(PARSER_NOISE)]
    text = " ".join(dict.fromkeys(useful or lines))
    given = [line.removeprefix(VALUE) for line in lines if line.startswith(VALUE)]
    text = _put_types_in_words(text, given)
    text = GROUP.sub(r"--\1 is a group of settings, got \3; set one, see fit --help \1", text)
    text = CHOICE.sub(
        lambda told: f"one of {told[1]} is needed, got {' '.join(given) or told[2]}", text
    )
    text = CLASS.sub(r"a class is needed, as darts_lite.Name or module.Name, got \1", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _put_types_in_words(text: str, given: Sequence[str]) -> str:
    """Says which types the parser expects, and what it got, if a text is about that."""
    if not (types := dict.fromkeys(EXPECTED.findall(text))):
        return text
    needed = " or ".join(TYPES.get(name, name) for name in types)
    before, *others = EXPECTED.split(text)[::2]  # every second part is the name of a type
    got = given or [part.strip() for part in others if part.strip()]
    return f"{before}{needed} is needed, got {' '.join(got)}"


@contextmanager
def silence_tensorboard() -> Iterator[None]:
    """Silences errors of files in TensorBoard's thread; its next event raises them in the run."""
    before = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        is_tensorboard = type(failed.thread).__module__.startswith("tensorboard.")
        if not (is_tensorboard and isinstance(failed.exc_value, OSError)):
            before(failed)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
