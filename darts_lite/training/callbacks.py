"""Finds a trainer's callbacks by their class, and asks its timer."""

from typing import TypeVar

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, Timer

Wanted = TypeVar("Wanted", bound=Callback)


def find_callback(trainer: Trainer, kind: type[Wanted]) -> Wanted | None:
    """Returns a trainer's first callback of a class; None if it has none."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((one for one in callbacks if isinstance(one, kind)), None)


def read_spent_time(trainer: Trainer) -> float | None:
    """Returns the share of a limit in time that is spent, 0 to 1; None without a limit."""
    timer = find_callback(trainer, Timer)  # Lightning allows one, and makes max_time one
    if timer is None or (left := timer.time_remaining()) is None:
        return None
    spent = timer.time_elapsed()
    return 1.0 if left <= 0 else spent / (spent + left)
