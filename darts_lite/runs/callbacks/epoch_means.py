"""Averages metrics of single batches over an epoch."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from darts_lite.training.callbacks import find_callback


class EpochMeans(Callback):
    """Averages the losses and accuracies of an epoch's training batches.

    Each of them is logged with its step, so that TensorBoard shows the course; but the last batch
    alone says little about the epoch. NaN and infinity, of a skipped step, do not count.
    """

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}  # (2,): sum and count; read as seldom as possible

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds the metrics of the batch, without waiting for the GPU that computes them."""
        if batch_idx == 0:
            self._totals = {}
        for name, value in trainer.callback_metrics.items():
            split, _, quantity = name.partition("/")[2].rpartition("_")
            if split in ("train", "weights", "alphas") and quantity in ("loss", "accuracy"):
                value = value.float()
                counted = torch.stack([value.nan_to_num(0.0, 0.0, 0.0), value.isfinite()])  # (2,)
                known = self._totals.get(name, torch.zeros(2))
                self._totals[name] = known.to(value.device) + counted

    def state_dict(self) -> dict[str, Any]:
        return {"totals": {name: total.cpu() for name, total in self._totals.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._totals = dict(state_dict["totals"])

    @property
    def means(self) -> Mapping[str, float]:
        """Mean of each metric, by name."""
        sums = {name: total.tolist() for name, total in self._totals.items()}
        return {name: added / count for name, (added, count) in sums.items() if count}


def collect_metrics(trainer: Trainer) -> dict[str, float]:
    """Returns all metrics of a trainer by name, with the epoch's means if it has any."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    epoch = find_callback(trainer, EpochMeans)
    return metrics if epoch is None else metrics | dict(epoch.means)
