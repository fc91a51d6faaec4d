"""What an epoch came to, on real digits."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from run_helpers import SMALL, fast_sgd, quiet_trainer
from torch import Tensor

from darts_lite.data.images.image_data import ImageData
from darts_lite.runs.callbacks.epoch_means import EpochMeans
from darts_lite.runs.callbacks.history import History
from darts_lite.runs.callbacks.progress import PlainProgress
from darts_lite.search.architecture_search import ArchitectureSearch

LOSS, ACCURACY = "search/weights_loss", "search/weights_accuracy"


class Batches(Callback):
    """All that was logged for single batches."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.accuracies: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(trainer.callback_metrics[LOSS]))
        self.accuracies.append(float(trainer.callback_metrics[ACCURACY]))


def test_an_epoch_is_the_mean_of_its_batches(
    digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, path = Batches(), tmp_path / "search.json"
    callbacks = [EpochMeans(), seen, History(path), PlainProgress("search 1/3")]
    run = quiet_trainer(max_epochs=2, limit_train_batches=4, callbacks=callbacks)
    run.fit(ArchitectureSearch(SMALL, weights_optimizer=fast_sgd), datamodule=digits)
    moments = json.loads(path.read_text())["moments"][1:]
    for epoch, moment in enumerate(moments):
        losses = seen.losses[4 * epoch : 4 * epoch + 4]
        assert moment["metrics"][LOSS] == pytest.approx(sum(losses) / 4)
        assert len({*losses}) == 4
    printed = [line for line in capsys.readouterr().out.splitlines() if "epoch 2/2" in line]
    assert f"weights_loss {sum(seen.losses[4:]) / 4:.4f}" in printed[0]
    assert f"weights_accuracy {sum(seen.accuracies[4:]) / 4:.4f}" in printed[0]


class Skipped(ArchitectureSearch):
    """A search with a step whose loss is no number, as one that float16 skips."""

    def weights_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor | None, ...]:
        logits, loss, *gradients = super().weights_gradients(images, labels)
        assert loss is not None
        return logits, loss * torch.nan if self.global_step == 1 else loss, *gradients


def test_steps_that_were_skipped_do_not_count_and_the_rest_is_kept(digits: ImageData) -> None:
    means, seen = EpochMeans(), Batches()
    run = quiet_trainer(callbacks=[means, seen], max_steps=4, limit_val_batches=0)
    run.fit(Skipped(SMALL, weights_optimizer=fast_sgd), datamodule=digits)
    assert math.isnan(seen.losses[1])
    assert means.means[LOSS] == pytest.approx((seen.losses[0] + sum(seen.losses[2:])) / 3)
    again = EpochMeans()
    again.load_state_dict(means.state_dict())
    assert again.means == means.means
