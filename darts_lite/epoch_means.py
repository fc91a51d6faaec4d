"""What an epoch came to, of figures that are logged for single batches."""

import math
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

SPLITS = ("train", "weights", "alphas")
"""Whose losses and accuracies are those of batches that are trained on."""


class EpochMeans(Callback):
    """Means of the losses and accuracies of an epoch's training batches.

    Each of them is logged with its step, so that TensorBoard shows the course; but the last batch
    alone says little about the epoch. What is no number, of a step that was skipped, does not
    count.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds those of the batch."""
        if batch_idx == 0:
            self._sums, self._counts = {}, {}
        for name, value in trainer.callback_metrics.items():
            split, _, quantity = name.partition("/")[2].rpartition("_")
            if split in SPLITS and quantity in ("loss", "accuracy") and math.isfinite(value):
                self._sums[name] = self._sums.get(name, 0.0) + float(value)
                self._counts[name] = self._counts.get(name, 0) + 1

    def state_dict(self) -> dict[str, Any]:
        """What an epoch came to so far."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        self._sums, self._counts = dict(state_dict["sums"]), dict(state_dict["counts"])

    @property
    def means(self) -> Mapping[str, float]:
        """By name."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}


def epoch_metrics(trainer: Trainer) -> dict[str, float]:
    """All figures of a trainer by name; at the end of an epoch those of the epoch."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EpochMeans):
            metrics |= callback.means
    return metrics
