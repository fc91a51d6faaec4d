"""Handles the steps that float16's loss scaler skips."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor


def find_scaler(trainer: Trainer) -> torch.amp.GradScaler | None:
    """Returns the loss scaler of a training in float16; None in all other precisions."""
    return getattr(trainer.precision_plugin, "scaler", None)


def lower_scale(trainer: Trainer) -> None:
    """Lowers the loss scale, if there is one, after a gradient other than the weights' overflowed.

    After a skipped step of the weights the scaler lowers it itself.
    """
    if (scaler := find_scaler(trainer)) is not None:
        scaler.scale(torch.zeros((), device=trainer.strategy.root_device))  # creates the scale
        scaler.update(scaler.get_scale() * scaler.get_backoff_factor())


def can_lower_scale(trainer: Trainer) -> bool:
    """Returns whether lowering the loss scale could still remove NaN and infinity.

    Each skipped step, of the weights or the alphas, halves the scale. Below 1 the scale is not
    their cause.
    """
    scaler = find_scaler(trainer)
    return scaler is not None and scaler.get_scale() >= 1


def collect_losses_and_gradients(trainer: Trainer) -> dict[str, float]:
    """Returns losses and gradient norms of the current step by name."""
    metrics = trainer.callback_metrics.items()
    return {
        name: float(value)
        for name, value in metrics
        if name.endswith(("loss", "gradient")) and "validation" not in name
    }


class SkippedSteps(Callback):
    """Restores the running statistics of batch norms after a skipped step.

    The scaler leaves weights alone when a gradient is NaN or infinite. But if the forward pass
    overflowed too, batch norms would keep NaN or infinity for good.
    """

    def __init__(self) -> None:
        self._before: list[tuple[Tensor, Tensor]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raises ValueError if an optimizer unscales gradients itself, after they were clipped."""
        for optimizer in trainer.optimizers:
            if find_scaler(trainer) and getattr(optimizer, "_step_supports_amp_scaling", False):
                raise ValueError(
                    f"a fused {type(optimizer).__name__} cannot be clipped in 16-mixed; leave out "
                    "fused, or set trainer.precision to bf16-mixed"
                )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        if find_scaler(trainer) is not None:
            norms = (m for m in pl_module.modules() if isinstance(m, torch.nn.BatchNorm2d))
            self._before = [(b, b.clone()) for norm in norms for b in norm.buffers()]

    def on_train_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Restores the statistics after a loss that is NaN or infinite."""
        values = collect_losses_and_gradients(trainer)
        losses = [value for name, value in values.items() if name.endswith("loss")]
        if not all(map(math.isfinite, losses)):
            for buffer, before in self._before:
                buffer.copy_(before)
        self._before = []
