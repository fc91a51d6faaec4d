"""Signals that end a run outside of a stage."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")


class Stopped(SystemExit):
    """Exit of a run that a signal stopped; the exit status is 128 plus the signal's number."""

    def __init__(self, name: str) -> None:
        super().__init__(128 + getattr(signal, name))


@contextmanager
def stoppable() -> Iterator[None]:
    """Ends a run at a signal that comes while no stage handles it: before or between stages.

    Some signals would end a run without a word, and Lightning treats others as a normal end.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        print(f"Stopped by {name} outside of a stage; checkpoints before it are kept", flush=True)
        raise Stopped(name)

    may_handle = current_thread() is main_thread()
    known = [getattr(signal, name) for name in SIGNALS if may_handle and hasattr(signal, name)]
    before = {each: signal.signal(each, stop) for each in known}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
