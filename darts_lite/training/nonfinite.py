"""Stops a training whose numbers have ceased to be numbers, and slows it down from where it was."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from darts_lite.training.loss_scaling import may_skip, training_numbers

SLOWER = 0.5
"""Factor of all learning rates each time that a training goes back."""
RATES = ("lr", "initial_lr", "max_lr", "min_lr")
"""What optimizers and schedules keep of learning rates in an optimizer's groups."""


class NotFinite(ValueError):
    """A loss or a gradient was infinite or no number.

    Args:
        what: Which, and when.
        checkpoint: The last good one, if any.
        rollbacks: How often the training has gone back already.
    """

    def __init__(self, what: str, checkpoint: Path | None, rollbacks: int = 0) -> None:
        advice = (
            f"raise run.max_rollbacks, as {rollbacks} were not enough"
            if rollbacks
            else "set run.on_nonfinite to rollback"
        )
        super().__init__(
            f"{what}; the last good checkpoint is {checkpoint or 'the start of this stage'}; lower "
            "the learning rate or a penalty's strength, train with more bits (trainer.precision), "
            f"or {advice}"
        )
        self.what, self.checkpoint = what, checkpoint


class FiniteNumbers(Callback):
    """Ends a stage with one line as soon as a loss or a gradient is infinite or no number.

    It looks before a checkpoint is written, so that the newest one is from before. Steps that
    float16's loss scaler skips are none of it, as long as a lower scale may help.

    Args:
        checkpoint: Where the newest checkpoint is kept, to be named.
        rollbacks: How often whoever runs the training may go back to it, with lower rates.

    Attributes:
        lowered: How often that was done; learning rates follow when the training starts again.
    """

    def __init__(self, checkpoint: Path | None = None, rollbacks: int = 0) -> None:
        self.checkpoint, self.rollbacks = checkpoint, rollbacks
        self.lowered = self._followed = 0

    def state_dict(self) -> dict[str, Any]:
        """How often the rates were lowered that the checkpoint holds."""
        return {"lowered": self.lowered}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave; what was lowered since is still to be done."""
        self._followed = state_dict["lowered"]
        self.lowered = max(self.lowered, self._followed)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lowers the rates."""
        lower_rates(trainer, SLOWER ** (self.lowered - self._followed))
        self._followed = self.lowered

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
                raise NotFinite(f"{name} is {number} in step {trainer.global_step}", good)


def check_finite(module: nn.Module, step: int, checkpoint: Path | None) -> None:
    """Looks at all weights, which a step may have spoiled whose loss was good.

    Args:
        module: Whose weights and statistics.
        step: So many were made.
        checkpoint: The last good one, if any.

    Raises:
        NotFinite: if some are infinite or no numbers.
    """
    for name, value in module.state_dict().items():
        if not value.isfinite().all():
            raise NotFinite(f"{name} is not finite after step {step}", checkpoint)


def lower_rates(trainer: Trainer, factor: float) -> None:
    """Multiplies all learning rates of a training, those to come as well.

    Args:
        trainer: Whose optimizers and schedules.
        factor: 1 changes nothing.
    """
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            group.update({name: factor * group[name] for name in RATES if name in group})
    for config in trainer.lr_scheduler_configs:
        schedule: Any = config.scheduler
        schedule.base_lrs = [factor * rate for rate in schedule.base_lrs]
        if hasattr(schedule, "eta_min"):
            schedule.eta_min *= factor
