"""Steps that float16's loss scaler skips, and what they must not leave behind."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor


def scaler_of(trainer: Trainer) -> torch.amp.GradScaler | None:
    """The loss scaler of a training in float16; None in all other precisions."""
    return getattr(trainer.precision_plugin, "scaler", None)


def lower_scale(trainer: Trainer) -> None:
    """Lowers the scale of losses, if there is one, where another gradient than the weights' asks.

    After a step of the weights that it had to skip, the scaler does so itself.
    """
    if (scaler := scaler_of(trainer)) is not None:
        scaler.scale(torch.zeros((), device=trainer.strategy.root_device))  # there is none before
        scaler.update(scaler.get_scale() * scaler.get_backoff_factor())


def may_skip(trainer: Trainer) -> bool:
    """Whether a lower loss scale may still help against numbers that are none.

    A skipped step, of the weights or the alphas, halves the scale. Below 1 it was not the scale
    that made them.
    """
    scaler = scaler_of(trainer)
    return scaler is not None and scaler.get_scale() >= 1


def training_numbers(trainer: Trainer) -> dict[str, float]:
    """Losses and norms of gradients in the step at hand, by name."""
    metrics = trainer.callback_metrics.items()
    return {
        name: float(value)
        for name, value in metrics
        if name.endswith(("loss", "gradient")) and "validation" not in name
    }


class SkippedSteps(Callback):
    """Takes back what a skipped step has done to running statistics of norms.

    The scaler leaves weights alone where a gradient is infinite or no number; but if the numbers of
    the forward pass were so too, norms would remember them for good.
    """

    def __init__(self) -> None:
        self._before: list[tuple[Tensor, Tensor]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuses optimizers that unscale gradients themselves, after these have been clipped.

        Raises:
            ValueError: if there is one.
        """
        for optimizer in trainer.optimizers:
            if scaler_of(trainer) and getattr(optimizer, "_step_supports_amp_scaling", False):
                raise ValueError(
                    f"a fused {type(optimizer).__name__} cannot be clipped in 16-mixed; leave out "
                    "its fused, or set trainer.precision to bf16-mixed"
                )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remembers the statistics."""
        if scaler_of(trainer) is not None:
            norms = (m for m in pl_module.modules() if isinstance(m, torch.nn.BatchNorm2d))
            self._before = [(b, b.clone()) for norm in norms for b in norm.buffers()]

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Puts them back after a loss that is infinite or no number."""
        losses = [v for name, v in training_numbers(trainer).items() if name.endswith("loss")]
        if not all(map(math.isfinite, losses)):
            for buffer, before in self._before:
                buffer.copy_(before)
        self._before = []
