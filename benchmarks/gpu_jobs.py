"""Runs of the product for `gpu.py`: main job, preset of cells, and a little of every algorithm.

They are what `darts_lite fit` runs, made without its command line.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import presets_by_hand as presets
import torch
from gpu_record import Figures, Record
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback

from darts_lite.data.images.image_data import ImageData
from darts_lite.distributed.strategy import prepare
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import stages
from darts_lite.runs.presets import names
from darts_lite.runs.settings import BudgetSettings, RunSettings
from darts_lite.runs.trainer_factory import TrainerFactory, as_list
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search
from darts_lite.storage.run_record import RunRecord
from darts_lite.training import memory

T = TypeVar("T")
SHORT: presets.Config = {
    "retraining": {"init_args": {"max_epochs": 2}},
    "data": {"init_args": {"search_batches_per_epoch": 60}},
}
"""The preset of cells, shortened."""
TINY: presets.Config = {
    "trainer": {"limit_val_batches": 1, "logger": False},
    "model": {"init_args": {"space": {"init_args": {"channels": 4}}}},
    "data": {
        "init_args": {
            "search_batches_per_epoch": 4,
            "search_batch_size": 8,
            "evaluation_batch_size": 200,
        }
    },
}
"""A search of a few steps."""
QUICK: presets.Config = {
    "trainer": {f"limit_{part}_batches": 4 for part in ("train", "val", "test")},
    "model": TINY["model"],
    "retraining": {"init_args": {"max_epochs": 1}},
    "data": {
        "init_args": {
            "search_batches_per_epoch": 4,
            "search_batch_size": 16,
            "batch_size": 32,
            "evaluation_batch_size": 100,
            "train_images": 2000,
        }
    },
}
"""The preset of cells as a test of a minute."""
FEW_NETS: presets.Config = {
    "trainer": {"limit_test_batches": 4},
    "model": {
        "init_args": {"by_hand": 1, "at_random": 1, "cohorts": 0, "children": 1, "finalists": 1}
    },
    "retraining": {"init_args": {"max_epochs": 1}},
    "data": {
        "init_args": {
            "search_batches_per_epoch": 16,
            "least_batches_per_epoch": 1,
            "train_images": 2000,
        }
    },
}
"""The main job as a test of a minute."""
FEW = 3  # overlays of a quick run
FOR_OVERLAYS: Mapping[str, presets.Config] = {
    "latency": {"model": {"init_args": {"derivation": {"init_args": {"latency": 1000}}}}}
}
"""Further settings of an overlay: a limit that any device keeps, however busy."""


@dataclass(frozen=True)
class Job:
    """A run of the product.

    Args:
        settings: As a preset has them.
        device: Of the trainer: cpu or cuda.
        precision: Of the trainer.
        folder: Where the run writes.
    """

    settings: presets.Config
    device: str
    precision: str
    folder: Path

    @cached_property
    def data(self) -> ImageData:
        """Of all stages."""
        return presets.built(self.settings["data"])

    @cached_property
    def trainer_settings(self) -> dict[str, Any]:
        """All arguments of Lightning's trainer."""
        defaults = {name: value.default for name, value in signature(Trainer).parameters.items()}
        quiet = {"enable_progress_bar": False, "enable_model_summary": False}
        place = {"accelerator": self.device, "devices": 1, "precision": self.precision}
        return defaults | quiet | place | presets.built(self.settings["trainer"])

    @cached_property
    def trainers(self) -> TrainerFactory:
        """Makes the trainers of all stages."""
        run = RunSettings(name=self.settings["run"]["name"], folder=str(self.folder))
        return TrainerFactory(self.trainer_settings, run, "fit")

    def seed(self) -> None:
        """Begins the random numbers of a stage."""
        seed_everything(self.settings["seed_everything"], workers=True, verbose=False)

    def model(self) -> Search:
        """What is searched."""
        sizes = {"in_channels": self.data.in_channels, "num_classes": self.data.num_classes}
        return presets.maker(self.settings["model"])(**sizes)

    def retraining(self, architecture: object, in_channels: int, num_classes: int) -> Retraining:
        """What trains the net of an architecture."""
        make = presets.maker(self.settings["retraining"])
        return make(architecture, in_channels=in_channels, num_classes=num_classes)

    def search(
        self, callbacks: Sequence[Callback] = (), resume_from: Path | None = None
    ) -> tuple[Search, dict[str, Any]]:
        """Searches.

        Args:
            callbacks: Beside those of the settings.
            resume_from: A checkpoint of this search.

        Returns:
            The model, and the search's part of the summary.
        """
        self.seed()
        model = self.model()
        own = as_list(self.trainer_settings["callbacks"])
        trainer = self.trainers.make(model, callbacks=[*own, *callbacks])
        prepare(trainer, self.data, "fit")
        record = RunRecord(self.trainers.folder)
        return model, stages.search(trainer, model, self.data, record, resume_from)[1]

    def train(self) -> Figures:
        """Trains and tests what the search has found; returns that part of the summary."""
        self.seed()
        folder = self.trainers.folder
        found = str(folder.checkpoint("search"))
        net = self.retraining(found, self.data.in_channels, self.data.num_classes)
        trainer = self.trainers.make_for_net(net)
        summary = RunRecord(folder)
        stages.retrain_and_test(trainer, net, self.data, summary)
        return summary.summary


def quiet() -> None:
    """Lets Lightning tell of this process only what goes wrong."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def run_whole(job: Job) -> Figures:
    """Runs search, retraining and test; returns seconds, accuracies and memory."""
    start = time.monotonic()
    if job.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model, found = job.search()
    until_found = time.monotonic() - start
    told = {**found, **job.train()}
    kept = (
        *("search_seconds", "retrain_seconds", "test_accuracy", "validation_accuracy", "params"),
        *("architecture", "search_validation_accuracy", "architecture_steps", "trainings"),
    )
    return {
        "seconds": round(time.monotonic() - start, 1),
        "seconds_until_found": round(until_found, 1),
        **{name: told[name] for name in kept if name in told},
        "executor": model.execution.name if isinstance(model, ArchitectureSearch) else None,
        "peak_mib": round(memory.read_peak_bytes(torch.device(job.device)) / 2**20),
        "data": job.data.data_source,
    }


@dataclass(frozen=True)
class Jobs:
    """Makes jobs for a device.

    Args:
        device: Type of the device.
        quick: Whether to run little of everything.
        folder: Where all runs write.
    """

    device: str
    quick: bool
    folder: Path

    def cells(self, name: str, precision: str, *changes: presets.Config) -> Job:
        """The preset of cells, in quick runs a little of it.

        Args:
            name: Of the run.
            precision: Of the trainer.
            changes: Of its settings.
        """
        return self._made(
            name, precision, presets.read("mnist_cells"), *changes, *[QUICK] * self.quick
        )

    def main(self, name: str, precision: str) -> Job:
        """The main job, a play-off, in quick runs one of two nets; see `cells`."""
        settings = presets.read("mnist")
        model = settings["model"]["init_args"]
        rule = BudgetSettings(**settings["budget"]).describe_rule("PlayOff", {"derivation": None})
        settings["model"]["init_args"] = {**model, "derivation": rule}
        return self._made(name, precision, settings, *[FEW_NETS] * self.quick)

    def tiny(self, name: str, precision: str, overlays: Sequence[str], *changes: Any) -> Job:
        """A search of a few steps; see `cells`.

        Args:
            name: Of the run.
            precision: Of the trainer.
            overlays: Of ``configs/algorithms``.
            changes: Of its settings.
        """
        stacked = presets.read("mnist_cells", *(f"algorithms/{overlay}" for overlay in overlays))
        return self._made(name, precision, stacked, TINY, *changes)

    def some(self, things: Iterable[T], few: int = 1) -> list[T]:
        """Returns all of them, in quick runs the first."""
        return [*things][: few if self.quick else None]

    def _made(self, name: str, precision: str, *parts: presets.Config) -> Job:
        settings = reduce(presets.merged, [*parts, {"run": {"name": name}}])
        return Job(settings, self.device, precision, self.folder)


def run_presets(record: Record, jobs: Jobs) -> None:
    """Runs the main job and the preset of cells, of this in other precisions a part."""
    play_off = jobs.main("mnist", "bf16-mixed")
    record.step(1, "mnist bf16-mixed", lambda: run_whole(play_off))
    whole = jobs.cells("bf16-mixed", "bf16-mixed")
    record.step(1, "mnist_cells bf16-mixed", lambda: run_whole(whole))
    for precision in jobs.some(("32-true", "16-mixed")):
        job = jobs.cells(precision, precision, SHORT)
        record.step(1, f"mnist_cells {precision}, shortened", partial(run_whole, job))


def run_overlays(record: Record, jobs: Jobs) -> None:
    """Lets every algorithm search for some steps in bf16-mixed, in quick runs a few."""
    overlays = [name.rpartition("/")[2] for name in names() if name.startswith("algorithms/")]
    for overlay in jobs.some(overlays, FEW):
        job = jobs.tiny(overlay, "bf16-mixed", [overlay], FOR_OVERLAYS.get(overlay, {}))
        record.step(3, f"overlay {overlay}", partial(tiny_search, job))


def tiny_search(job: Job) -> Figures:
    """Searches, and returns which algorithm it was and what it came to.

    Raises:
        ValueError: if nothing was searched.
    """
    with chdir(job.folder):  # a table of latencies is written there
        model, found = job.search()
    steps = found.get("architecture_steps", found.get("evaluations"))
    if not steps:
        raise ValueError(f"{model.algorithm} has made no step")
    kept = {name: found[name] for name in ("algorithm", "search_seconds", "architecture")}
    return {**kept, "steps_or_evaluations": steps}
