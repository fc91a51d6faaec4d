"""What a run will take on this machine, measured before anything long runs.

Both stages run for a few steps as `fit` would run them, in a folder that is thrown away, and the
rest is counted up. What is not known before the search, the net that will be found, is stood in for
by a random one that the search could find.
"""

import itertools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, Timer

from darts_lite.data.image_data import ImageData
from darts_lite.derivation.budget import for_data
from darts_lite.derivation.consensus import admitted, random_architectures
from darts_lite.derivation.costs import CostTable, multiply_adds
from darts_lite.planning.report import Executors, Plan, Stage
from darts_lite.planning.stopwatch import Stopwatch
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import stages
from darts_lite.runs.memory_advice import step_of
from darts_lite.runs.reporting import device_name
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.trainer_factory import Trainers
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.space.architecture import Architecture
from darts_lite.space.encoding import any_architecture
from darts_lite.training import memory

STEPS = 24
"""Steps of each of the two epochs that are measured."""
BATCHES = 2
"""Batches of each validation, and of the test."""
DRAWN = 24
QUARTER = 0.75
"""Of so many random architectures, by multiply-adds, the one at this place stands for the one that
will be found: a search prefers what computes something."""
Measurable = ArchitectureSearch | Retraining
COMPARED = ("folded", "literal")
ROUNDS = 3
"""Steps of each of these executors, after one to warm up."""


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
        if first.world_size > 1:
            raise ValueError(
                "plan measures one process; leave trainer.devices and num_nodes out, and each "
                "process takes about as long for its part of the images"
            )
        device = first.strategy.root_device
        free = memory.available(device) + (memory.peak(device) if device.type == "cpu" else 0)
        parts: list[tuple[Stage, Measurable, Trainer]] = []
        if isinstance(model, ArchitectureSearch):
            parts.append((self.search(model, first), model, first))
            if self.make_retraining is not None:
                sizes = self.data.in_channels, self.data.num_classes
                net = self.make_retraining(likely(model, self.data), *sizes)
                times = 1 + (self.run.control_nets if self.run.control else 0)
                second = self._trainer(net)
                stage = self.retraining(net, second, net.max_epochs, times)
                parts.append((stage, net, second))
        elif isinstance(model, Retraining):
            limit = self.settings["max_epochs"]
            epochs = model.max_epochs if limit in (None, -1) else limit
            parts.append((self.retraining(model, first, epochs, 1), model, first))
        peak = memory.peak(device)
        stages = tuple(self._with_largest_batch(*part) for part in parts)
        executors = self.executors(model, first)  # last: the other one may raise the peak
        precision = str(first.precision)
        return Plan(device_name(first), start, stages, peak, free, precision, executors)

    def search(self, model: ArchitectureSearch, trainer: Trainer) -> Stage:
        """Two short epochs: before the alphas move, if there is such a time, and after."""
        warmup = model.warmup_epochs
        model.warmup_epochs = 1.0 if warmup else 0.0
        watch = self._watching(trainer)
        began = time.monotonic()
        stages.search(trainer, model, self.data, self.trainers.directory)
        once = time.monotonic() - began - watch.repeated
        epochs, steps = self.settings["max_epochs"], self.settings["max_steps"]
        in_steps = math.ceil(steps / max(1, watch.lengths["train"])) if steps >= 0 else None
        if epochs in (None, -1) or (in_steps is not None and in_steps < epochs):
            epochs = in_steps
        sizes = sum(p.numel() for p in model.parameters()), self.data.hparams["search_batch_size"]
        stage = staged("search", sizes, watch, epochs, min(warmup, epochs), once, self.run.seeds)
        minutes = self.run.max_minutes
        return self._ended(stage, None if minutes is None else 60 * minutes)

    def executors(self, model: LightningModule, trainer: Trainer) -> Executors | None:
        """Times a search step with each executor, in turn, where there is a choice."""
        device = trainer.strategy.root_device
        if not isinstance(model, ArchitectureSearch) or model.relaxation.samples:
            return None
        if not model.execution.literal_fits(device, self.data):
            return None
        step, taken = step_of(trainer, model, self.data), model.execution.executor
        seconds = {name: list[float]() for name in COMPARED}
        for _, name in itertools.product(range(1 + ROUNDS), COMPARED):
            model.execution.run_with(name)
            began = time.monotonic()
            step(self.data.hparams["search_batch_size"])
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds[name].append(time.monotonic() - began)
        model.execution.run_with(taken)
        medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
        return Executors(model.execution.name, medians)

    def retraining(self, model: Retraining, trainer: Trainer, epochs: int, times: int) -> Stage:
        """Two short epochs and a test."""
        watch, directory = self._watching(trainer), self.trainers.directory
        began = time.monotonic()
        stages.retrain(trainer, model, self.data, directory)
        stages.test(trainer, model, self.data, directory)
        once = time.monotonic() - began - watch.repeated + watch.test
        sizes = sum(p.numel() for p in model.parameters()), self.data.hparams["batch_size"]
        return self._ended(staged("retraining", sizes, watch, epochs, 0.0, once, times), None)

    def _ended(self, stage: Stage, seconds: float | None) -> Stage:
        """A stage that ends after so long, or after the time that the trainer may take.

        It has as many validations as the trainer's settings ask for.
        """
        limits = [seconds, Timer(self.settings["max_time"]).time_remaining()]
        interval, every = (
            self.settings[name] for name in ("val_check_interval", "check_val_every_n_epoch")
        )
        number = stage.steps / interval if isinstance(interval, int) else 1 / (interval or 1.0)
        validations = number / (every or 1)
        return replace(stage, most=min(filter(None, limits), default=None), validations=validations)

    def _watching(self, trainer: Trainer) -> Stopwatch:
        """A stopwatch that knows the limits of the run, beside which the measured one is short."""
        limits = {"train": "train", "validation": "val", "test": "test"}
        watch = Stopwatch(
            {part: self.settings[f"limit_{name}_batches"] for part, name in limits.items()}
        )
        trainer.callbacks.append(watch)  # type: ignore[attr-defined]
        return watch

    def _trainer(self, model: LightningModule) -> Trainer:
        def few(name: str, count: int) -> int:
            limit = self.settings[f"limit_{name}_batches"]
            return min(count, limit) if isinstance(limit, int) else count

        callbacks = self.settings["callbacks"] or []
        callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
        return self.trainers.make(
            model,
            callbacks=[c for c in callbacks if not isinstance(c, Checkpoint)],
            val_check_interval=1.0,
            check_val_every_n_epoch=1,
            limit_train_batches=few("train", STEPS),
            limit_val_batches=few("val", BATCHES),
            limit_test_batches=few("test", BATCHES),
            max_epochs=2,
            max_steps=-1,
            max_time=None,
            enable_progress_bar=False,
        )

    def _with_largest_batch(self, stage: Stage, model: Measurable, trainer: Trainer) -> Stage:
        sizes = self.data.split_sizes
        most = sizes["weights"] + (0 if stage.name == "search" else sizes["alphas"])
        step, device = step_of(trainer, model, self.data), trainer.strategy.root_device
        found = memory.largest_batch(step, stage.batch_size, most, device)
        return replace(stage, images=most, largest_batch=found)


def staged(
    name: str,
    sizes: tuple[int, int],
    watch: Stopwatch,
    epochs: int,
    warmup: float,
    once: float,
    times: int,
) -> Stage:
    """What a stopwatch has seen.

    Args:
        name: Of the stage.
        sizes: Parameters, and images in a step.
        watch: Of two epochs.
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
        images=batch_size,
        largest_batch=batch_size,
        steps=watch.lengths["train"],
        epochs=epochs,
        step=watch.step(1),
        warmup_epochs=warmup,
        warmup_step=watch.step(0),
        validation=watch.validation(0),
        last_validation=watch.validation(1),
        between=watch.between,
        once=once,
        times=times,
    )


def likely(model: ArchitectureSearch, data: ImageData) -> Architecture:
    """An architecture that costs what one may cost that a search finds: see `QUARTER`."""
    sizes = data.in_channels, data.num_classes, data.image_size
    rule = for_data(model.derivation, *sizes)
    admits = admitted(model.space, rule)
    drawn = random_architectures(model.space, DRAWN, Random(0), admits=admits)
    drawn = drawn or [any_architecture(model.space)]
    table = CostTable.measure(model.space, multiply_adds, *sizes)
    return sorted(drawn, key=table.of)[int(QUARTER * len(drawn))]
