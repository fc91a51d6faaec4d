"""What a trainer was doing when an error ended it."""

from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback
from run_helpers import SMALL, quiet_trainer

from darts_lite import ArchitectureSearch, ImageData
from darts_lite.runs.callbacks.failure_point import FailurePoint


class Fails(Callback):
    """Raises an error in one hook."""

    def __init__(self, hook: str) -> None:
        setattr(self, hook, self.fail)

    def fail(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("as asked")


@pytest.mark.parametrize(
    ("hook", "has_trained", "was_evaluating"),
    [
        ("on_fit_start", False, False),
        ("on_train_batch_end", True, False),
        ("on_validation_batch_end", True, True),
        ("on_train_end", True, True),
    ],
)
def test_stages_are_told_apart(
    hook: str, has_trained: bool, was_evaluating: bool, digits: ImageData
) -> None:
    trainer = quiet_trainer(
        callbacks=[FailurePoint(), Fails(hook)],
        max_epochs=1,
        limit_train_batches=1,
        num_sanity_val_steps=0,
    )
    with pytest.raises(RuntimeError, match="as asked"):
        trainer.fit(ArchitectureSearch(SMALL), datamodule=digits)
    point = FailurePoint.of(trainer)
    assert (point.has_trained, point.was_evaluating) == (has_trained, was_evaluating)


def test_a_trainer_without_one_has_a_new_one() -> None:
    point = FailurePoint.of(quiet_trainer())
    assert not (point.has_trained or point.was_evaluating)
