"""Remembers what a trainer was doing when an error ended it."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from darts_lite.training.callbacks import find_callback


class FailurePoint(Callback):
    """Distinguishes errors of loading a checkpoint, of training and of evaluation.

    Attributes:
        has_trained: True if the training had begun, after loading its checkpoint if there is one.
        was_evaluating: True at an error in a validation, a test, a prediction, or after the last
            step of a training, where the net is measured in batches of a validation.
    """

    def __init__(self) -> None:
        self.has_trained = self.was_evaluating = self._has_ended = False

    @classmethod
    def of(cls, trainer: Trainer) -> "FailurePoint":
        """Returns the trainer's failure point, or a new one if it has none."""
        return find_callback(trainer, cls) or cls()

    def setup(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Forgets an earlier training."""
        self.has_trained = self.was_evaluating = self._has_ended = False

    def on_train_start(self, *_: Any, **__: Any) -> None:
        """Notes that the checkpoint is loaded."""
        self.has_trained = True

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Notes that what follows only measures."""
        self._has_ended = True

    def on_exception(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Notes the stage, which the trainer forgets afterwards."""
        self.was_evaluating = trainer.evaluating or trainer.predicting or self._has_ended
