"""Stops training on NaN or infinity, or rolls back with lower learning rates."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from darts_lite.training.loss_scaling import can_lower_scale, collect_losses_and_gradients

RATE_FACTOR = 0.5  # by which each rollback multiplies all learning rates
RATES = ("lr", "initial_lr", "max_lr", "min_lr")  # keys in an optimizer's groups


class NotFinite(ValueError):
    """A loss, gradient or weight is NaN or infinite; the checkpoint is the last good one."""

    def __init__(self, what: str, checkpoint: Path | None, rollbacks: int = 0) -> None:
        advice = "set run.on_nonfinite to rollback"
        if rollbacks:
            advice = f"raise run.max_rollbacks, as {rollbacks} were not enough"
        super().__init__(
            f"{what}; the last good checkpoint is {checkpoint or 'the start of this stage'}; lower "
            "the learning rate or a penalty's strength, train with more bits (trainer.precision), "
            f"or {advice}"
        )
        self.what, self.checkpoint = what, checkpoint


class NonFiniteGuard(Callback):
    """Ends a stage with one line as soon as a loss or a gradient is NaN or infinite.

    It checks before a checkpoint is written, so that the newest checkpoint is still good. It
    ignores steps that float16's loss scaler skips, as long as a lower scale could help.

    Args:
        checkpoint: The newest checkpoint, which the error names.
        rollbacks: Number of rollbacks to it, with lower learning rates, that the run may make.

    Attributes:
        lowered: Number of rollbacks made; learning rates follow when training starts again.
    """

    def __init__(self, checkpoint: Path | None = None, rollbacks: int = 0) -> None:
        self.checkpoint, self.rollbacks = checkpoint, rollbacks
        self.lowered = self._followed = 0

    @property
    def state_key(self) -> str:
        """Key of the callback's state in a checkpoint: the class's name in earlier versions."""
        return "FiniteNumbers"

    def state_dict(self) -> dict[str, Any]:
        return {"lowered": self.lowered}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state of `state_dict`; rates lowered since then are lowered at the start."""
        self._followed = state_dict["lowered"]
        self.lowered = max(self.lowered, self._followed)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        lower_rates(trainer, RATE_FACTOR ** (self.lowered - self._followed))
        self._followed = self.lowered

    def on_train_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        if not can_lower_scale(trainer):
            self._check(trainer, collect_losses_and_gradients(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = trainer.callback_metrics.items()
        self._check(trainer, {n: float(v) for n, v in metrics if n.endswith("validation_loss")})

    def _check(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                good = self.checkpoint if self.checkpoint and self.checkpoint.exists() else None
                raise NotFinite(f"{name} is {value} in step {trainer.global_step}", good)


def check_finite(module: nn.Module, step: int, checkpoint: Path | None) -> None:
    """Raises NotFinite if a step, perhaps with a finite loss, has spoiled a weight or statistic."""
    for name, value in module.state_dict().items():
        if not value.isfinite().all():
            raise NotFinite(f"{name} is not finite after step {step}", checkpoint)


def lower_rates(trainer: Trainer, factor: float) -> None:
    """Multiplies all present and future learning rates of a training by a factor."""
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            group.update({name: factor * group[name] for name in RATES if name in group})
    for config in trainer.lr_scheduler_configs:
        schedule: Any = config.scheduler
        schedule.base_lrs = [factor * rate for rate in schedule.base_lrs]
        if hasattr(schedule, "eta_min"):
            schedule.eta_min *= factor
