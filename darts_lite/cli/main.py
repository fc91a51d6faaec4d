"""Reads the verb of a command, and runs the module of that verb.

Nothing here imports torch, so that ``--help`` and ``--version`` answer at once; the module of a
verb is imported when it runs. `darts_lite.cli.lightning_cli` parses the arguments of its verbs.
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from darts_lite.cli.front.arguments import (
    ABOUT_SWEEP,
    CHECKS,
    OF_FILES,
    OWN,
    PASSED_ON,
    RUN_ELSEWHERE,
    SWEEP,
    TRAINING,
)
from darts_lite.cli.front.common_settings import SECTIONS
from darts_lite.cli.front.errors import guard
from darts_lite.cli.front.short_help import (
    ALL,
    FLAGS,
    GROUPS,
    SCREEN,
    VERBS,
    find_question,
    write_screen,
)
from darts_lite.cli.front.stacking import expand_presets
from darts_lite.launchers.local import follow_parent
from darts_lite.runs.presets import FLAGS as CONFIGS
from darts_lite.storage.user_modules import import_own
from darts_lite.storage.versions import find_version
from darts_lite.training.signals import delay_interrupt

PARSED_HERE = {*OF_FILES, *FLAGS}
"""Arguments of verbs in `PASSED_ON` with which they are parsed here all the same."""


class _OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose arguments are not abbreviated."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> Any:
        """Prints what is wrong on standard error and exits with status 2."""
        print(f"error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all verbs; it does not parse the arguments of the LightningCLI."""
    made = _OneLineParser(
        prog="darts-lite",
        description="Searches a small network architecture, trains it and tests it.",
    )
    made.add_argument(
        "--version", action="version", version=f"darts_lite {find_version('darts_lite')}"
    )
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, about in TRAINING.items():
        verbs.add_parser(name, help=about, add_help=False)
    for name, (about, add_arguments) in OWN.items():
        add_arguments(verbs.add_parser(name, help=about, description=about.capitalize() + "."))
    return made


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command; a user's mistake ends it with status 2 and one line on standard error.

    Ctrl-C ends it with status 130; a training prints the checkpoint from which it can resume.
    """
    try:
        _run(args)
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C.", file=sys.stderr)
        raise SystemExit(130) from None


def script() -> None:
    """Runs ``darts-lite``, which imports from the current folder as ``python -m`` does."""
    sys.path.insert(0, os.getcwd())
    run_program()


def run_program() -> None:
    """Runs `main` as the only thing that this process does."""
    follow_parent()
    gc.disable()  # what is imported stays, and to look for garbage in it takes a third of the time
    try:
        main()
    except SystemExit:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would change the status
        raise


def _run(args: Sequence[str] | None) -> None:
    given = sys.argv[1:] if args is None else list(args)
    front = parser()
    verb = given[0] if given else ""
    flags = {word.partition("=")[0] for word in given}
    takes_config = verb in TRAINING or (verb in PASSED_ON and not flags & PARSED_HERE)
    has_config = verb in ("fit", "plan") and bool(flags & {*CONFIGS})
    with _telling(front):
        asked = find_question(given[1:]) if verb in VERBS else None
        if asked in GROUPS or (asked is None and takes_config) or (asked == SCREEN and has_config):
            given = expand_presets(given)
    if asked == SCREEN and has_config:
        _load("group_help", front).show_screen(verb, given[1:])
    elif asked == SCREEN and verb in SECTIONS:
        guard(lambda: print(write_screen(verb), flush=True))
    elif asked == ALL:
        if verb == "fit":
            guard(lambda: print(ABOUT_SWEEP, flush=True))
        _load("lightning_cli", front).main(["fit" if verb == "plan" else verb, "--help"])
    elif asked in GROUPS:
        _load("group_help", front).main(asked, given[1:])
    elif verb == "fit" and SWEEP in flags:
        _load("sweep", front).main(given)
    elif verb == "plan" and SWEEP in flags:
        front.error("plan tells the time of one run; leave out --sweep")
    elif takes_config:
        _load(PASSED_ON.get(verb, "lightning_cli"), front).main(given)
    else:
        _run_own(given, front)


def _run_own(given: Sequence[str], front: argparse.ArgumentParser) -> None:
    """Runs a verb whose arguments are parsed here."""
    options = front.parse_args(given)
    if options.verb in CHECKS:
        with _telling(front):
            CHECKS[options.verb](options)
    module = _load(RUN_ELSEWHERE.get(options.verb, f"verbs.{options.verb}"), front)

    def run() -> None:
        import_own(getattr(options, "imports", ()))
        module.run(options)

    guard(run)


@contextmanager
def _telling(front: argparse.ArgumentParser) -> Iterator[None]:
    """Ends the command with the line of a ValueError."""
    try:
        yield
    except ValueError as error:
        front.error(str(error))


def _load(name: str, front: argparse.ArgumentParser) -> Any:
    """Imports a module of this folder; libraries read environment variables when they load."""
    try:
        with delay_interrupt():
            module = import_module(f"darts_lite.cli.{name}")
    except (ValueError, RuntimeError) as error:
        if "DARTS_LITE_DEBUG" in os.environ:
            raise
        return front.error(
            f"a library cannot be loaded ({error}); correct the environment variable that it read, "
            "as RANK, LOCAL_RANK, SLURM_PROCID or MPLBACKEND"
        )
    if not gc.isenabled():  # as `run_program` leaves it
        gc.freeze()
        gc.enable()
    return module
