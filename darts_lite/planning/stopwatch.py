"""How long the parts of a short training take."""

import statistics
import time
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

UNSTEADY = 4
"""First steps of an epoch, which are slower."""


@dataclass
class Stopwatch(Callback):
    """Notes how long steps, validations and tests take, and what lies between two epochs.

    Args:
        steps: Seconds from one step's end to the next, for each epoch.
        validations: Seconds of each batch of each validation.
        tests: Seconds of each batch of the test.
        between: Seconds from the end of an epoch's last step to the beginning of the next epoch.
        lengths: Batches that there would be, of the training, a validation and the test.
        limits: Of the batches of each of these, as Lightning's Trainer takes them.
    """

    limits: Mapping[str, int | float | None]

    steps: list[list[float]] = field(default_factory=list)
    validations: list[list[float]] = field(default_factory=list)
    tests: list[float] = field(default_factory=list)
    between: float = 0.0
    lengths: dict[str, int] = field(default_factory=dict)
    _last: float = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins an epoch."""
        self._count("train", trainer.train_dataloader)
        if self.steps:
            self.between = max(0.0, self._since_last())
        self.steps.append([])
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Ends a step."""
        self.steps[-1].append(self._since_last())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins a validation, unless it only tries whether one is possible."""
        self._count("validation", trainer.val_dataloaders)
        if self.steps:
            self.validations.append([])
        self._last = time.monotonic()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any
    ) -> None:
        """Ends a batch."""
        seconds = self._since_last()
        if self.validations:
            self.validations[-1].append(seconds)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins the test."""
        self._count("test", trainer.test_dataloaders)
        self._last = time.monotonic()

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Ends a batch."""
        self.tests.append(self._since_last())

    def step(self, epoch: int) -> float:
        """Seconds of a step in an epoch, in the median."""
        return statistics.median(self.steps[epoch][UNSTEADY:] or self.steps[epoch])

    def validation(self, number: int) -> float:
        """Seconds of a whole validation; 0 where there was none."""
        return _whole(self.validations[number:][:1], self.lengths.get("validation", 0))

    @property
    def test(self) -> float:
        """Seconds of a whole test."""
        return _whole([self.tests], self.lengths.get("test", 0))

    @property
    def repeated(self) -> float:
        """Seconds of all that a longer run has more of, at its usual pace."""
        steps = sum(len(steps) * self.step(epoch) for epoch, steps in enumerate(self.steps))
        return steps + sum(map(sum, self.validations)) + sum(self.tests) + 2 * self.between

    def _count(self, part: str, loader: Any) -> None:
        self.lengths[part] = limited(len(cast(Sized, loader)), self.limits.get(part))

    def _since_last(self) -> float:
        last, self._last = self._last, time.monotonic()
        return self._last - last


def limited(batches: int, limit: int | float | None) -> int:
    """How many batches a limit leaves: a number of them, or a part of 0.0 to 1.0."""
    if limit is None:
        return batches
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def _whole(batches: Sequence[Sequence[float]], count: int) -> float:
    return count * statistics.fmean(batches[0]) if batches and batches[0] else 0.0
