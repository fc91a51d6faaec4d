"""A trainer of a library's user is refused in the words of the command line."""

from typing import Any

import pytest
from lightning.pytorch import LightningModule
from run_helpers import SMALL, one_line, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.training.trainer_settings import refuse_unsupported


def make(kind: type) -> LightningModule:
    return Retraining(SMALL.first_architecture()) if kind is Retraining else kind(SMALL)


@pytest.mark.parametrize("kind", [Retraining, ArchitectureSearch, Exploration])
@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"gradient_clip_val": 1.0}, "set model.gradient_clip and retraining.gradient_clip"),
        ({"gradient_clip_val": 0.0}, "set model.gradient_clip and retraining.gradient_clip"),
        ({"accumulate_grad_batches": 2}, "set data.search_batch_size and data.batch_size"),
        ({"sync_batchnorm": True}, "share their statistics without it"),
    ],
)
def test_what_a_training_would_ignore_is_refused(
    kind: type, setting: dict[str, Any], told: str, digits: ImageData
) -> None:
    model, trainer = make(kind), quiet_trainer(max_epochs=1, limit_train_batches=1, **setting)
    with pytest.raises(ValueError) as error:
        trainer.fit(model, datamodule=digits)
    one_line(error, *setting, told)


@pytest.mark.parametrize("name", ["devices", "num_nodes"])
def test_more_processes_than_any_machine_has_are_refused(name: str) -> None:
    usual = {"gradient_clip_val": None, "sync_batchnorm": False, "accumulate_grad_batches": 1}
    refuse_unsupported({**usual, name: 64})
    with pytest.raises(ValueError) as error:
        refuse_unsupported({**usual, name: 10**18})
    one_line(error, f"trainer.{name} must be at most")


def test_a_test_clips_nothing(digits: ImageData) -> None:
    trainer = quiet_trainer(gradient_clip_val=1.0, limit_test_batches=1)
    assert trainer.test(make(Retraining), datamodule=digits, verbose=False)
