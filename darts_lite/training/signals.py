"""Signals that end a run outside of a stage."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")


class Stopped(SystemExit):
    """A signal ended the run after a checkpoint was written."""

    def __init__(self, name: str) -> None:
        super().__init__(128 + getattr(signal, name))


@contextmanager
def stoppable() -> Iterator[None]:
    """Ends a run at a signal while no stage listens to it: before its first step, or between two.

    The default of some signals says nothing, and Lightning turns others into an end like any other.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        print(f"Stopped by {name} outside of a stage; checkpoints before it are kept", flush=True)
        raise Stopped(name)

    if current_thread() is not main_thread():
        yield
        return
    known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {each: signal.signal(each, stop) for each in known}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
