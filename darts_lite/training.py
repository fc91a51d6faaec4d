"""The training of one stage, from wherever it was to its end."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from darts_lite.data import ImageData
from darts_lite.finite import FiniteNumbers, NotFinite
from darts_lite.memory import advising
from darts_lite.resuming import drop_after, newest_checkpoint
from darts_lite.saving import Saving

Wanted = TypeVar("Wanted", bound=Callback)


class Trained(NamedTuple):
    """How a training went, over all its interruptions."""

    seconds: float
    metrics: Mapping[str, float]
    """Those logged last, by name."""
    rollbacks: int
    """How often it went back with lower learning rates."""


def train(
    trainer: Trainer, model: LightningModule, data: ImageData, resume_from: str | Path | None
) -> Trained:
    """Trains, and goes back where numbers cease to be numbers and the trainer has ways to.

    Args:
        trainer, model, data: Of the training.
        resume_from: A checkpoint of it, or None for its beginning.

    Raises:
        NotFinite: if going back is not wanted, or was done often enough.
        ValueError: if there is too little memory.
    """
    start = time.monotonic()
    with advising(trainer, model, data):
        while True:
            try:
                trainer.fit(model, datamodule=data, ckpt_path=resume_from, weights_only=True)
                break
            except NotFinite as error:
                resume_from = _go_back(trainer, error)
    finite, saving = callback_of(trainer, FiniteNumbers), callback_of(trainer, Saving)
    rollbacks = 0 if finite is None else finite.lowered
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if saving is None:
        return Trained(time.monotonic() - start, metrics, rollbacks)
    return Trained(saving.seconds, saving.metrics | metrics, rollbacks)


def callback_of(trainer: Trainer, kind: type[Wanted]) -> Wanted | None:
    """The callback of this kind, where a trainer has one."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((one for one in callbacks if isinstance(one, kind)), None)


def _go_back(trainer: Trainer, error: NotFinite) -> Path:
    """The last good checkpoint, from which a training that went wrong is to go on more slowly.

    Raises:
        NotFinite: if that is not wanted, or was done often enough.
    """
    finite, saving = callback_of(trainer, FiniteNumbers), callback_of(trainer, Saving)
    if finite is None or saving is None or finite.lowered >= finite.rollbacks:
        used = 0 if finite is None else finite.lowered
        raise NotFinite(error.what, error.checkpoint, used) from error
    if (found := newest_checkpoint(saving.path)) is None:
        raise error
    finite.lowered += 1
    if trainer.is_global_zero:
        drop_after(found)
    trainer.strategy.barrier()
    print(
        f"Warning: {error.what}; back to {found}, with half the learning rates "
        f"({finite.lowered} of at most {finite.rollbacks} times)",
        flush=True,
    )
    return found
