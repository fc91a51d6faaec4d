"""Stops a training whose numbers have ceased to be numbers."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from darts_lite.overflow import may_skip, training_numbers


class FiniteNumbers(Callback):
    """Ends a stage with one line as soon as a loss or a gradient is infinite or no number.

    It looks before a checkpoint is written, so that the newest one is from before. Steps that
    float16's loss scaler skips are none of it, as long as a lower scale may help.

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
        """Looks at the losses and the gradients of the step."""
        if not may_skip(trainer):
            self._check(trainer, training_numbers(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at those of the validation."""
        metrics = trainer.callback_metrics.items()
        losses = {n: float(v) for n, v in metrics if n.endswith("validation_loss")}
        self._check(trainer, losses)

    def _check(self, trainer: Trainer, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            if not math.isfinite(number):
                good = self.checkpoint if self.checkpoint and self.checkpoint.exists() else None
                raise ValueError(
                    f"{name} is {number} in step {trainer.global_step}; the last good checkpoint "
                    f"is {good or 'the start of this stage'}; lower the learning rate or a "
                    "penalty's strength, or train with more bits (trainer.precision)"
                )
