"""Trainings that diverge, on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.training.checkpointing import AtomicCheckpointIO, StageCheckpoint
from darts_lite.training.nonfinite import NonFiniteGuard


def wild(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1e30)


@pytest.mark.parametrize("split", ["search/(weights|alphas)_loss", "retraining/train_loss"])
def test_a_loss_that_is_no_number_ends_the_stage(
    split: str, digits: ImageData, tmp_path: Path
) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=wild)
    model = search if "search" in split else Retraining(search.derive(), optimizer=wild)
    path = tmp_path / "last.ckpt"
    run = quiet_trainer(
        max_epochs=1,
        limit_val_batches=0,
        callbacks=[StageCheckpoint(path, every_steps=1), NonFiniteGuard(path)],
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=True,
    )
    with pytest.raises(ValueError, match=f"{split} is .* in step [0-9]+; the last good.*last.ckpt"):
        run.fit(model, datamodule=digits)
    step = torch.load(path, weights_only=True)["global_step"]
    assert step == run.global_step - 1


def test_lowered_rates_are_in_the_checkpoint() -> None:
    first, resumed = NonFiniteGuard(rollbacks=3), NonFiniteGuard(rollbacks=3)
    first.lowered = 2
    resumed.load_state_dict(first.state_dict())
    assert resumed.lowered == 2 and resumed.state_dict() == {"lowered": 2}


def test_without_a_checkpoint_the_start_is_named(digits: ImageData, tmp_path: Path) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=wild)
    callbacks = [NonFiniteGuard(tmp_path / "none.ckpt")]
    with pytest.raises(ValueError, match="is the start of this stage"):
        quiet_trainer(max_epochs=1, callbacks=callbacks).fit(search, datamodule=digits)
