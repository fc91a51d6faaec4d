"""A user's mistake as one line, without a traceback."""

import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import NoReturn

from lightning.fabric.utilities.exceptions import MisconfigurationException

HARMLESS_WARNINGS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning on a newer torch
    r"The number of training batches .* is smaller than the logging interval",
    r"Be aware that when using `ckpt_path`, callbacks",  # evaluation needs none of them
    r"You're using the WeightAveraging callback, but",
    r"The dirpath has changed",  # a resumed run writes to its own folder
    r"Detected call of `lr_scheduler.step\(\)` before",  # float16 skips the first steps
    r"Checkpoint directory .* exists and is not empty",  # both stages write there
)


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    return f"Warning: {message}\n"


def guarded(command: Callable[[], object]) -> None:
    """Runs a command; a user's mistake ends with exit status 2 and one line on standard error.

    Set the environment variable ``DARTS_LITE_DEBUG`` to see the traceback as well.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.formatwarning = _one_line
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message)
    try:
        with quiet_events():
            command()
    except BrokenPipeError:  # the reader of our output has gone, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, MisconfigurationException) as error:
        if "DARTS_LITE_DEBUG" in os.environ:
            raise
        if isinstance(error, OSError) and error.filename is not None:  # the system's own
            stop(f"cannot use {error.filename} ({error.strerror}); choose another place")
        stop(str(error))
    except (RuntimeError, LookupError, TypeError, AttributeError, OverflowError) as error:
        if not restoring(error) and "loading state_dict" not in str(error):
            raise
        if "DARTS_LITE_DEBUG" in os.environ:
            raise
        stop(
            "the checkpoint does not fit: it is of another model or version, or was changed "
            f"({shorten(str(error), 200)})"
        )


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
)
LONGEST = 1_000
"""Characters of a message that are printed; a value that somebody gives may be longer."""


def stop(message: str) -> NoReturn:
    """Prints a message as one line on standard error and exits with status 2."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    telling = [line for line in lines if line and not line.startswith(PARSER_NOISE)]
    text = " ".join(dict.fromkeys(telling or lines))
    print("error:", text if len(text) <= LONGEST else f"{text[:LONGEST]} ...", file=sys.stderr)
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


RESTORES = ("checkpoint_connector.py", "lightning/pytorch/core/saving.py")
"""Lightning's modules that do so."""


def restoring(error: BaseException) -> bool:
    """Whether an error came out of putting a checkpoint's content back into a run."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_filename.endswith(RESTORES) for frame, _ in frames)
