"""`plan`: what a configuration will take on this machine, measured before anything long runs.

Both stages run for a few steps as `fit` would run them, in a folder that is thrown away, and the
rest is counted up. What is not known before the search, the net that will be found, is stood in for
by a random one that the search could find.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from darts_lite import pipeline, room
from darts_lite.allocator import keep_freed_memory
from darts_lite.architecture import Architecture
from darts_lite.cli import DartsCLI, guarded
from darts_lite.costs import CostTable, multiply_adds
from darts_lite.data import ImageData
from darts_lite.derivation import WithinBudget, for_data
from darts_lite.encoding import any_architecture
from darts_lite.explore import Exploration
from darts_lite.memory import passes
from darts_lite.plan_report import Plan, Stage, report
from darts_lite.reporting import device_name
from darts_lite.retraining import Retraining
from darts_lite.run_settings import RunSettings
from darts_lite.search import ArchitectureSearch
from darts_lite.trainers import Trainers
from darts_lite.trust import random_architectures

STEPS = 24
"""Steps of each of the two epochs that are measured."""
Measurable = ArchitectureSearch | Retraining

UNSTEADY = 4
"""First steps of an epoch, which are slower."""
BATCHES = 2
"""Batches of each validation, and of the test."""
DRAWN = 24
QUARTER = 0.75
"""Of so many random architectures, by multiply-adds, the one at this place stands for the one that
will be found: a search prefers what computes something."""


@dataclass
class Clock(Callback):
    """Notes how long steps, validations and tests take, and what lies between two epochs.

    Args:
        steps: Seconds from one step's end to the next, for each epoch.
        validations: Seconds of each batch of each validation.
        tests: Seconds of each batch of the test.
        between: Seconds from the end of an epoch's last step to the beginning of the next epoch.
        lengths: Batches that there would be, of the training, a validation and the test.
    """

    steps: list[list[float]] = field(default_factory=list)
    validations: list[list[float]] = field(default_factory=list)
    tests: list[float] = field(default_factory=list)
    between: float = 0.0
    lengths: dict[str, int] = field(default_factory=dict)
    _last: float = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins an epoch."""
        self.lengths["train"] = len(cast(Sized, trainer.train_dataloader))
        if self.steps:
            self.between = max(0.0, self._since_last())
        self.steps.append([])
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Ends a step."""
        self.steps[-1].append(self._since_last())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins a validation, unless it only tries whether one is possible."""
        self.lengths["validation"] = len(cast(Sized, trainer.val_dataloaders))
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
        self.lengths["test"] = len(cast(Sized, trainer.test_dataloaders))
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

    def _since_last(self) -> float:
        last, self._last = self._last, time.monotonic()
        return self._last - last


def _whole(batches: Sequence[Sequence[float]], count: int) -> float:
    return count * statistics.fmean(batches[0]) if batches and batches[0] else 0.0


class PlanCLI(DartsCLI):
    """Parses what `fit` parses, and measures instead of running it."""

    def before_instantiate_classes(self) -> None:
        """Lets everything be written into a folder that is thrown away."""
        self._folder = tempfile.TemporaryDirectory()
        run = self.config["fit"]["run"]
        run["folder"], run["resume"] = self._folder.name, None
        super().before_instantiate_classes()

    def fit(
        self,
        model: LightningModule,
        datamodule: ImageData,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> None:
        """Measures and prints."""
        with self._folder:
            planner = Planner(
                datamodule,
                self.trainers,
                self._get(self.config_init, "trainer"),
                self._get(self.config_init, "run"),
                self._get(self.config_init, "retraining"),
            )
            report(planner(model))


@dataclass(frozen=True)
class Planner:
    """Runs a little of each stage.

    Args:
        data: Of both stages.
        trainers: Makes trainers that write where nobody looks.
        settings: Of the trainer of the first stage.
        run: The group of that name.
        make_retraining: Makes what trains an architecture's net, if that is to be done.
    """

    data: ImageData
    trainers: Trainers
    settings: Any
    run: RunSettings
    make_retraining: Callable[[Architecture, int, int], Retraining] | None

    def __call__(self, model: LightningModule) -> Plan:
        """The plan for a search, with what follows it, or for a retraining.

        Raises:
            ValueError: for a search whose steps do not tell how long it takes.
        """
        if isinstance(model, Exploration):
            raise ValueError(
                "plan measures searches with alphas and retrainings; how long Exploration takes is "
                "up to its evaluations: set run.max_minutes"
            )
        start = time.process_time()  # imports and parsing do not wait, and have one thread
        began = time.monotonic()
        self.data.prepare_data()
        self.data.setup("fit")
        start += time.monotonic() - began
        first = self._trainer(model)
        device = first.strategy.root_device
        free = room.available(device) + (room.peak(device) if device.type == "cpu" else 0)
        parts: list[tuple[Stage, Measurable]] = []
        if isinstance(model, ArchitectureSearch):
            parts.append((self.search(model, first), model))
            if self.make_retraining is not None:
                sizes = self.data.in_channels, self.data.num_classes
                net = self.make_retraining(likely(model, self.data), *sizes)
                times = 1 + (self.run.control_nets if self.run.control else 0)
                parts.append((self.retraining(net, self._trainer(net), net.max_epochs, times), net))
        elif isinstance(model, Retraining):
            epochs = self.settings["max_epochs"] or model.max_epochs
            parts.append((self.retraining(model, first, epochs, 1), model))
        peak = room.peak(device)
        stages = tuple(self._with_largest_batch(*part, device) for part in parts)
        return Plan(device_name(first), start, stages, peak, free, str(first.precision))

    def search(self, model: ArchitectureSearch, trainer: Trainer) -> Stage:
        """Two short epochs: before the alphas move, if there is such a time, and after."""
        warmup = model.warmup_epochs
        model.warmup_epochs = 1.0 if warmup else 0.0
        clock = clocked(trainer)
        began = time.monotonic()
        pipeline.search(trainer, model, self.data, self.trainers.directory)
        once = time.monotonic() - began - clock.repeated
        epochs = self.settings["max_epochs"]
        if epochs in (None, -1):
            epochs = math.ceil(self.settings["max_steps"] / clock.lengths["train"])
        sizes = sum(p.numel() for p in model.parameters()), self.data.hparams["search_batch_size"]
        return staged("search", sizes, clock, epochs, min(warmup, epochs), once, self.run.seeds)

    def retraining(self, model: Retraining, trainer: Trainer, epochs: int, times: int) -> Stage:
        """Two short epochs and a test."""
        clock, directory = clocked(trainer), self.trainers.directory
        began = time.monotonic()
        pipeline.retrain(trainer, model, self.data, directory)
        pipeline.test(trainer, model, self.data, directory)
        once = time.monotonic() - began - clock.repeated + clock.test
        sizes = sum(p.numel() for p in model.parameters()), self.data.hparams["batch_size"]
        return staged("retraining", sizes, clock, epochs, 0.0, once, times)

    def _trainer(self, model: LightningModule) -> Trainer:
        return self.trainers.make(
            model,
            limit_train_batches=STEPS,
            limit_val_batches=BATCHES,
            limit_test_batches=BATCHES,
            max_epochs=2,
            max_steps=-1,
            enable_progress_bar=False,
        )

    def _with_largest_batch(self, stage: Stage, model: Measurable, device: torch.device) -> Stage:
        model.to(device)
        shape = self.data.in_channels, self.data.image_size, self.data.image_size

        def attempt(size: int) -> None:
            images = torch.zeros(size, *shape, device=device)
            passes(model, images, torch.zeros(size, dtype=torch.long, device=device), False)

        sizes = self.data.split_sizes
        most = sizes["weights"] + (0 if stage.name == "search" else sizes["alphas"])
        found = room.largest_batch(attempt, stage.batch_size, most, device)
        return replace(stage, largest_batch=found)


def clocked(trainer: Trainer) -> Clock:
    """A clock that watches a trainer."""
    clock = Clock()
    trainer.callbacks.append(clock)  # type: ignore[attr-defined]
    return clock


def staged(
    name: str,
    sizes: tuple[int, int],
    clock: Clock,
    epochs: int,
    warmup: float,
    once: float,
    times: int,
) -> Stage:
    """What a clock has seen.

    Args:
        name: Of the stage.
        sizes: Parameters, and images in a step.
        clock: Of two epochs.
        epochs: That there would be.
        warmup: How many of them are like the first one.
        once: Seconds of what happens once.
        times: How often the stage runs.
    """
    parameters, batch_size = sizes
    return Stage(
        name=name,
        parameters=parameters,
        batch_size=batch_size,
        largest_batch=batch_size,
        steps=clock.lengths["train"],
        epochs=epochs,
        step=clock.step(1),
        warmup_epochs=warmup,
        warmup_step=clock.step(0),
        validation=clock.validation(0),
        last_validation=clock.validation(1),
        between=clock.between,
        once=once,
        times=times,
    )


def likely(model: ArchitectureSearch, data: ImageData) -> Architecture:
    """An architecture that costs what one may cost that a search finds: see `QUARTER`."""
    sizes = data.in_channels, data.num_classes, data.image_size
    rule = for_data(model.derivation, *sizes)
    admits = partial(rule.admits, model.space) if isinstance(rule, WithinBudget) else None
    start = any_architecture(model.space)
    drawn = random_architectures(model.space, DRAWN, Random(0), start, admits) or [start]
    table = CostTable.measure(model.space, multiply_adds, *sizes)
    return sorted(drawn, key=table.of)[int(QUARTER * len(drawn))]


def main(arguments: Sequence[str]) -> None:
    """Plans what `fit` would do with the arguments that follow the verb."""
    keep_freed_memory()
    guarded(lambda: PlanCLI(["fit", *arguments[1:]]))
