"""Finds a trainer's callbacks by their class."""

from typing import TypeVar

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

Wanted = TypeVar("Wanted", bound=Callback)


def find_callback(trainer: Trainer, kind: type[Wanted]) -> Wanted | None:
    """Returns a trainer's first callback of a class; None if it has none."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((one for one in callbacks if isinstance(one, kind)), None)
