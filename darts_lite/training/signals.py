"""Signals that end a run, within a stage and outside of one."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
OUTPUTS = (1, 2)  # descriptors of standard output and standard error


class Stopped(SystemExit):
    """Exit of a run that a signal stopped; the exit status is 128 plus the signal's number."""

    def __init__(self, name: str) -> None:
        super().__init__(128 + getattr(signal, name))


@contextmanager
def stoppable(what: str = "") -> Iterator[None]:
    """Ends a run at a signal that comes while no stage handles it: before or between stages.

    Some signals would end a run without a word, and Lightning treats others as a normal end.

    Args:
        what: What to add to the line that tells of the signal.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        stop_now(signal.Signals(number).name, what)

    before = handle_signals(stop)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def delay_interrupt() -> Iterator[None]:
    """Lets a Ctrl-C wait for the end of a block, such as an import that would swallow it."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or current_thread() is not main_thread():
        yield
        return
    came = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def handle_signals(handler: Callable[[int, FrameType | None], None]) -> dict[str, Any]:
    """Installs a handler of the `SIGNALS`, and returns those before it by name of the signal.

    Only the main thread may do so. A SIGHUP that is ignored, as by ``nohup``, stays ignored.
    """
    if current_thread() is not main_thread():
        return {}
    before = {}
    for name in SIGNALS:
        number = getattr(signal, name, None)  # Windows lacks some
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue
        before[name] = signal.signal(number, handler)
    return before


def stop_now(name: str, what: str) -> None:
    """Tells of a signal, and ends the run with its exit status."""
    drop_unread_output()
    print(f"Stopped by {name}{what}", flush=True)
    raise Stopped(name)


def drop_unread_output() -> None:
    """Sends outputs nowhere that nobody reads any more, such as those to a closed terminal.

    Writing to them would be an error, in the middle of the last step and its checkpoint.
    """
    if not hasattr(select, "poll"):
        return
    for output in OUTPUTS:
        poll = select.poll()
        poll.register(output, 0)  # asks only for hang-ups and errors
        if poll.poll(0):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output)
            os.close(nowhere)
