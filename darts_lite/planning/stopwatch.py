"""Measures how long the parts of a short training take."""

import statistics
import time
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


@dataclass
class Stopwatch(Callback):
    """Measures how long steps, validations and tests take, and the time between two epochs.

    Args:
        limits: Limits of a run's batches of ``train``, ``validation`` and ``test``, as Lightning's
            Trainer takes them.
        steps: Seconds from the end of one step to the end of the next, for each epoch.
        validations: Seconds of each batch of each validation.
        tests: Seconds of each batch of the test.
        between: Seconds from the end of an epoch's last step to the beginning of the next epoch.
        lengths: Number of batches that the training, a validation and the test of a run would have.
    """

    limits: Mapping[str, int | float | None]
    steps: list[list[float]] = field(default_factory=list)
    validations: list[list[float]] = field(default_factory=list)
    tests: list[float] = field(default_factory=list)
    between: float = 0.0
    lengths: dict[str, int] = field(default_factory=dict)
    _last: float = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._count_batches("train", trainer.train_dataloader)
        if self.steps:
            self.between = max(0.0, self._since_last())
        self.steps.append([])
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.steps[-1].append(self._since_last())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins a validation; the sanity check before the training is not measured."""
        self._count_batches("validation", trainer.val_dataloaders)
        if self.steps:
            self.validations.append([])
        self._last = time.monotonic()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any
    ) -> None:
        seconds = self._since_last()
        if self.validations:
            self.validations[-1].append(seconds)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._count_batches("test", trainer.test_dataloaders)
        self._last = time.monotonic()

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.tests.append(self._since_last())

    def step(self, epoch: int) -> float:
        """Returns the median seconds of a step in an epoch; the first ones are slower."""
        return statistics.median(self.steps[epoch][4:] or self.steps[epoch])

    def validation(self, number: int) -> float:
        """Returns the seconds of a whole validation; 0 if there was none."""
        return _extrapolate(self.validations[number:][:1], self.lengths.get("validation", 0))

    @property
    def test(self) -> float:
        """Seconds of a whole test."""
        return _extrapolate([self.tests], self.lengths.get("test", 0))

    @property
    def repeated(self) -> float:
        """Seconds of all parts that a longer run repeats, at their usual pace."""
        steps = sum(len(steps) * self.step(epoch) for epoch, steps in enumerate(self.steps))
        return steps + sum(map(sum, self.validations)) + sum(self.tests) + 2 * self.between

    def _count_batches(self, part: str, loader: Any) -> None:
        self.lengths[part] = apply_limit(len(cast(Sized, loader)), self.limits.get(part))

    def _since_last(self) -> float:
        last, self._last = self._last, time.monotonic()
        return self._last - last


def apply_limit(batches: int, limit: int | float | None) -> int:
    """Returns how many batches a limit leaves, which is a number or a share from 0.0 to 1.0."""
    if limit is None:
        return batches
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def _extrapolate(batches: Sequence[Sequence[float]], count: int) -> float:
    return count * statistics.fmean(batches[0]) if batches and batches[0] else 0.0
