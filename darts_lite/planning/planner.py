"""Measures what a run will take on this machine, before it starts.

Both stages run for a few steps as `fit` would run them, in a folder that is thrown away, and the
rest is extrapolated. The net that the search will find is not known yet, so a random net that it
could find takes its place.
"""

import itertools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, Timer

from darts_lite.data.split_data import SplitData
from darts_lite.derivation.consensus import draw_architectures
from darts_lite.derivation.costs import measure_costs
from darts_lite.planning.plan_report import Executors, Plan, Stage
from darts_lite.planning.stopwatch import Stopwatch
from darts_lite.retraining.retraining import Retraining
from darts_lite.retraining.whole_numbers import LAST_SHARE
from darts_lite.runs import stages
from darts_lite.runs.controls import count_affordable
from darts_lite.runs.memory_advice import make_step
from darts_lite.runs.reporting import describe_device, doubt_batches
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.trainer_factory import TrainerFactory
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.space.cost_tables import Images
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.run_record import RunRecord
from darts_lite.training import memory

STEPS = 24
"""Number of steps of each of the two epochs that are measured."""
BATCHES = 2
"""Number of batches of each validation and of the test that are measured."""
DRAWN = 24
"""Number of random architectures, one of which stands for the one that a search will find."""
QUARTER = 0.75
"""Quantile of their multiply-adds at which this one lies: a search prefers costly operations."""
Measurable = ArchitectureSearch | PlayOff | Retraining


@dataclass(frozen=True)
class Planner:
    """Runs a few steps of each stage, and extrapolates.

    Args:
        trainers: Makes trainers that write into a temporary folder.
        settings: Settings of the first stage's trainer.
        make_retraining: Makes the retraining of an architecture, for so many channels and classes;
            None if a search has none.
    """

    data: SplitData
    trainers: TrainerFactory
    settings: Any
    run: RunSettings
    make_retraining: Callable[[AnyArchitecture, int, int], Retraining] | None

    def __call__(self, model: LightningModule) -> Plan:
        """Plans a search with its retraining, or a retraining, in one process."""
        if not isinstance(model, Measurable):
            raise ValueError(
                "plan measures ArchitectureSearch, PlayOff and Retraining only; the time of other "
                "searches depends on the nets that they try: set run.max_minutes"
            )
        start = time.process_time()  # imports and parsing do not wait, and have one thread
        began = time.monotonic()
        self.data.prepare_data()
        self.data.setup("fit")
        start += time.monotonic() - began
        for doubt in doubt_batches(self.data, model, self.make_retraining is not None, 1):
            print(doubt)
        first = self._make_trainer(model)
        if first.world_size > 1:
            raise ValueError(
                "plan measures one process; leave out trainer.devices and trainer.num_nodes: each "
                "of several processes takes about as long for its share of the batch"
            )
        device = first.strategy.root_device
        free = memory.read_free_bytes(device) + (
            memory.read_peak_bytes(device) if device.type == "cpu" else 0
        )
        parts: list[tuple[Stage, Measurable, Trainer]] = []
        if isinstance(model, ArchitectureSearch | PlayOff):
            parts.append((self.measure_search(model, first), model, first))
            if self.make_retraining is not None:
                sizes = self.data.in_channels, self.data.num_classes
                net = self.make_retraining(draw_likely(model, self.data), *sizes)
                second = self._make_trainer(net)
                stage = self.measure_retraining(net, second, net.max_epochs)
                rivals = self._count_rivals(parts[0][0], stage)
                parts.append((replace(stage, times=1 + rivals), net, second))
        else:
            parts.append((self.measure_retraining(model, first), model, first))
        peak = memory.read_peak_bytes(device)
        measured = tuple(self._add_largest_batch(*part) for part in parts)
        executors = self.measure_executors(model, first)  # last: the other one may raise the peak
        precision = str(first.precision)
        return Plan(describe_device(first), start, measured, peak, free, precision, executors)

    def measure_search(self, model: ArchitectureSearch | PlayOff, trainer: Trainer) -> Stage:
        """Measures two short epochs of a search, the first one in the warm-up if there is one."""
        watch, warmup = self._add_stopwatch(trainer), 0.0
        began = time.monotonic()
        if isinstance(model, PlayOff):  # nothing is found so early
            model.whole = lambda: self._count_epochs(watch) * watch.lengths["train"]
            stages.train(trainer, model, self.data, None)
        else:
            warmup, model.warmup_epochs = model.warmup_epochs, float(model.warmup_epochs > 0)
            stages.search(trainer, model, self.data, RunRecord(self.trainers.folder))
        stages.pass_on_signals(trainer)
        once = time.monotonic() - began - watch.repeated
        epochs, minutes = self._count_epochs(watch), self.run.max_minutes
        stage = self._extrapolate(model, watch, once, None if minutes is None else 60 * minutes)
        if isinstance(model, PlayOff):
            nets = model.count_nets(0, epochs * stage.steps)
            pace = nets / model.count_nets(0, len(watch.steps[0]))
            stage = replace(stage, step=pace * watch.step(0))
        return replace(
            stage,
            epochs=epochs,
            warmup_epochs=warmup if warmup < epochs else epochs / 2,
            times=self.run.seeds,
        )

    def _count_epochs(self, watch: Stopwatch, usual: int | None = None) -> int:
        """Returns the number of epochs of the first stage, the last one maybe shorter.

        It has the `usual` number if the trainer's settings limit nothing.
        """
        epochs, steps = self.settings["max_epochs"], self.settings["max_steps"]
        if epochs in (None, -1):
            epochs = usual
        in_steps = math.ceil(steps / max(1, watch.lengths["train"])) if steps >= 0 else None
        if epochs is None or (in_steps is not None and in_steps < epochs):
            epochs = in_steps
        return int(epochs)

    def measure_executors(self, model: LightningModule, trainer: Trainer) -> Executors | None:
        """Measures a search step with each executor, in turn, if there is a choice."""
        device = trainer.strategy.root_device
        if not isinstance(model, ArchitectureSearch) or model.relaxation.samples:
            return None
        if not (model.execution.has_choice and model.execution.literal_fits(device, self.data)):
            return None
        step, taken = make_step(trainer, model, self.data), model.execution.executor
        seconds = {name: list[float]() for name in ("folded", "literal")}
        for _, name in itertools.product(range(4), seconds):  # the first round warms up
            model.execution.run_with(name)
            began = time.monotonic()
            step(self.data.hparams["search_batch_size"])
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds[name].append(time.monotonic() - began)
        model.execution.run_with(taken)
        medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
        return Executors(model.execution.name, medians)

    def _count_rivals(self, search: Stage, training: Stage) -> int:
        """Returns how many nets are trained beside the found one."""
        if self.run.control == "best_of":
            return count_affordable(search.seconds, training.seconds)
        return self.run.control_nets if self.run.control else 0

    def measure_retraining(
        self, model: Retraining, trainer: Trainer, epochs: int | None = None
    ) -> Stage:
        """Measures two short epochs of a retraining, and a test.

        It has so many `epochs` behind a search; alone, those of the trainer or else its own.
        """
        watch, folder = self._add_stopwatch(trainer), self.trainers.folder
        began = time.monotonic()
        stages.retrain(trainer, model, self.data, folder)
        stages.pass_on_signals(trainer)
        stages.test(trainer, model, self.data, folder)
        once = time.monotonic() - began - watch.repeated + watch.test
        epochs = self._count_epochs(watch, model.max_epochs) if epochs is None else epochs
        stage = replace(self._extrapolate(model, watch, once), epochs=epochs)
        if model.recipe.quantize:  # the second measured epoch is rounded, of the run its last part
            share = max(LAST_SHARE, 1 / epochs)
            stage = replace(stage, step=(1 - share) * watch.step(0) + share * stage.step)
        return stage

    def _extrapolate(
        self, model: Measurable, watch: Stopwatch, once: float, limit: float | None = None
    ) -> Stage:
        """Builds a stage of two measured epochs, with a limit in seconds beside the trainer's."""
        searches = not isinstance(model, Retraining)
        size = self.data.hparams["search_batch_size" if searches else "batch_size"]
        limits = [limit, Timer(self.settings["max_time"]).time_remaining()]
        steps, interval = watch.lengths["train"], self.settings["val_check_interval"]
        number = steps / interval if isinstance(interval, int) else 1 / (interval or 1.0)
        return Stage(
            name="search" if searches else "retraining",
            batch_size=size,
            epochs=2,
            warmup_epochs=0.0,
            once=once,
            times=1,
            parameters=model.net.count_parameters()
            if isinstance(model, Retraining)
            else sum(p.numel() for p in model.parameters()),
            images=size,
            largest_batch=size,
            steps=steps,
            step=watch.step(1),
            warmup_step=watch.step(0),
            validation=watch.validation(0),
            last_validation=watch.validation(1),
            between=watch.between,
            validations=number / (self.settings["check_val_every_n_epoch"] or 1),
            most=min(filter(None, limits), default=None),
        )

    def _add_stopwatch(self, trainer: Trainer) -> Stopwatch:
        """Adds a stopwatch to a trainer that knows the batches of the whole run."""
        limits = {"train": "train", "validation": "val", "test": "test"}
        watch = Stopwatch(
            {part: self.settings[f"limit_{name}_batches"] for part, name in limits.items()}
        )
        trainer.callbacks.append(watch)  # type: ignore[attr-defined]
        return watch

    def _make_trainer(self, model: LightningModule) -> Trainer:
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

    def _add_largest_batch(self, stage: Stage, model: Measurable, trainer: Trainer) -> Stage:
        sizes = self.data.split_sizes
        most = sizes["weights"] + (0 if stage.name == "search" else sizes["alphas"])
        step, device = make_step(trainer, model, self.data), trainer.strategy.root_device
        found = memory.find_largest_batch(step, stage.batch_size, most, device)
        return replace(stage, images=most, largest_batch=found)


def draw_likely(model: ArchitectureSearch | PlayOff, data: SplitData) -> AnyArchitecture:
    """Draws an architecture of about the cost of one that a search finds; see `QUARTER`."""
    sizes = Images(data.in_channels, data.num_classes, data.image_size)
    rule = model.derivation.with_data(*sizes)
    admits = partial(rule.admits, model.space)
    drawn = draw_architectures(model.space, DRAWN, Random(0), admits=admits)
    drawn = drawn or [model.space.first_architecture()]
    costs = measure_costs(model.space, "multiply_adds", sizes)
    return sorted(drawn, key=lambda each: costs.of(each))[int(QUARTER * len(drawn))]
