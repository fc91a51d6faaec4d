"""Stops a training whose numbers have ceased to be numbers."""

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class FiniteNumbers(Callback):
    """Ends a stage with one line as soon as a loss is infinite or no number.

    It looks before a checkpoint is written, so that the newest one is from before.

    Args:
        checkpoint: Where the newest checkpoint is kept, to be named.
    """

    def __init__(self, checkpoint: Path | None = None) -> None:
        self.checkpoint = checkpoint

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Looks at the losses of the step."""
        self._check(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at those of the validation."""
        self._check(trainer)

    def _check(self, trainer: Trainer) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.endswith("loss") and not math.isfinite(number := float(value)):
                good = self.checkpoint if self.checkpoint and self.checkpoint.exists() else None
                raise ValueError(
                    f"{name} is {number} in step {trainer.global_step}; the last good checkpoint "
                    f"is {good or 'the start of this stage'}; lower the learning rate or a "
                    "penalty's strength, or train with more bits (trainer.precision)"
                )
