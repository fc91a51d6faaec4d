"""The trainer of each stage of a run."""

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from darts_lite.distributed.strategy import NAMES, JointBatch, check_strategy
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.architecture_board import ArchitectureBoard
from darts_lite.runs.callbacks.epoch_means import EpochMeans
from darts_lite.runs.callbacks.history import History
from darts_lite.runs.callbacks.progress import PlainProgress, ProgressBar
from darts_lite.runs.callbacks.test_report import Quality
from darts_lite.runs.precision import (
    choose_precision,
)
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.stages import Search
from darts_lite.search.callbacks.cost_penalty import CostPenalty
from darts_lite.search.callbacks.discretisation_gap import DiscretisationGap
from darts_lite.search.callbacks.eigenvalue_monitor import EigenvalueMonitor
from darts_lite.search.callbacks.operation_freezing import OperationFreezing
from darts_lite.search.callbacks.perturbation import Perturbation
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.storage.run_history import FOLDER
from darts_lite.training.checkpointing import Saving, WholeFiles
from darts_lite.training.loss_scaling import SkippedSteps
from darts_lite.training.nonfinite import FiniteNumbers

NEED_ALPHAS = (CostPenalty, EigenvalueMonitor, OperationFreezing, Perturbation)


@dataclass(frozen=True)
class Trainers:
    """Makes the trainers of a run from the settings that all its stages share.

    Args:
        settings: Of Lightning's Trainer.
        run: Where the run writes and when it ends.
        verb: The command: fit, validate, test or predict.
        version: Number of the run that goes on; None begins a new one.
    """

    settings: Mapping[str, Any]
    run: RunSettings
    verb: str
    version: int | None = None

    @cached_property
    def logger(self) -> TensorBoardLogger:
        """That of the run, which knows the run's folder."""
        return TensorBoardLogger(
            self.run.folder, self.run.name, self.version, default_hp_metric=False
        )

    @property
    def directory(self) -> Path:
        """The folder of the run."""
        return Path(self.logger.log_dir)

    def beside(self, group: str, name: str) -> TensorBoardLogger:
        """A logger that writes to ``<group>/<name>/`` inside the run's folder."""
        return TensorBoardLogger(self.directory, group, version=name, default_hp_metric=False)

    def make(
        self, model: LightningModule, part: TensorBoardLogger | None = None, **overrides: Any
    ) -> Trainer:
        """A trainer with callbacks of its own.

        Args:
            model: What it trains.
            part: Where a part of the run writes; the run's own logger when not given.
            overrides: Settings that this stage has otherwise.

        Raises:
            ValueError: if a setting cannot be followed.
        """
        settings = copy.deepcopy({k: v for k, v in self.settings.items() if k != "logger"})
        settings |= overrides
        if isinstance(model, Retraining) and settings["max_epochs"] is None:
            settings["max_epochs"] = model.max_epochs
        if self.verb == "fit":
            check_training(model, settings)
        refuse_unsupported(settings)
        chosen = choose_precision(settings["accelerator"], settings["precision"])
        plugins = [*listed(settings["plugins"]), *chosen.get("plugins", ()), WholeFiles()]
        settings |= chosen | {"plugins": plugins, "logger": self._loggers(part)}
        if self.verb != "fit":
            settings["enable_checkpointing"] = False
        directory = Path((part or self.logger).log_dir)
        settings["callbacks"] = [
            *serving(listed(settings["callbacks"]), model),
            *self._callbacks(model, settings, directory),
        ]
        if not sys.stdout.isatty():
            settings["enable_progress_bar"] = False  # Lightning's own bar, beside the plain lines
        trainer = made_trainer(settings)
        if type(trainer.strategy) is DDPStrategy and settings["strategy"] in NAMES:
            trainer = made_trainer(settings | {"strategy": JointBatch()})
        check_strategy(trainer, settings["strategy"])
        if trainer.precision == "64-true":
            model.double()  # Lightning does it later, when the averages of weights are begun
        if trainer.world_size > 1 and self.verb == "predict":
            raise ValueError("predict prints one list; set trainer.devices to 1 for it")
        return trainer

    def _loggers(self, part: TensorBoardLogger | None) -> list[Logger] | bool:
        """TensorBoard's, and in the run's own folder those that the user has named beside it."""
        own = self.settings["logger"]
        if self.verb != "fit" or own is False:
            return False
        beside = listed(own) if part is None and own is not True else []
        return [part or self.logger, *beside]

    def _callbacks(
        self, model: LightningModule, settings: Mapping[str, Any], directory: Path
    ) -> list[Callback]:
        callbacks: list[Callback] = []
        if isinstance(model, Retraining) and self.verb in ("fit", "test"):
            callbacks.append(Quality())
        if self.verb != "fit":
            return [DiscretisationGap()] if self.verb == "validate" else callbacks
        callbacks.append(EpochMeans())  # before those that tell them
        if settings["enable_progress_bar"] is not False:
            callbacks.append(ProgressBar() if sys.stdout.isatty() else PlainProgress())
        path = checkpoint_path(directory, model)
        goes_back = self.run.on_nonfinite == "rollback"
        rollbacks = self.run.max_rollbacks if goes_back else 0
        callbacks += [SkippedSteps(), FiniteNumbers(path, rollbacks)]
        callbacks.append(History(directory / FOLDER / f"{stage_of(model)}.json"))
        searches = isinstance(model, Search)
        if searches:
            callbacks += [ArchitectureBoard(), DiscretisationGap()]
            if self.run.max_minutes is not None:
                callbacks.append(Timer(timedelta(minutes=self.run.max_minutes)))
        if settings["enable_checkpointing"] is not False and not settings["fast_dev_run"]:
            run = self.run
            interval = (run.save_every_steps, run.save_every_minutes, run.keep_checkpoints)
            callbacks.append(Saving(path, *interval, at_start=goes_back))
        return callbacks


def listed(value: Any) -> list[Any]:
    """What a setting holds that is None, one thing, or a list of some."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def check_training(model: LightningModule, settings: Mapping[str, Any]) -> None:
    """Whether a model can be trained, and the training has an end.

    Raises:
        ValueError: if it cannot, or has none.
    """
    if not isinstance(model, Search | Retraining):
        raise ValueError(
            f"fit does not know {type(model).__name__}; model.class_path must be "
            "darts_lite.ArchitectureSearch, darts_lite.Exploration or darts_lite.Retraining"
        )
    if settings["max_epochs"] in (None, -1) and settings["max_steps"] < 0:
        raise ValueError("how long to search? set trainer.max_epochs or trainer.max_steps")
    if settings["max_epochs"] == 0:
        raise ValueError("trainer.max_epochs is 0, which trains nothing; set at least 1")


def made_trainer(settings: Mapping[str, Any]) -> Trainer:
    """A trainer.

    Raises:
        ValueError: if a setting is of a kind that Lightning did not expect.
    """
    try:
        return Trainer(**settings)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"trainer: {error}") from error


def stage_of(model: LightningModule) -> str:
    """Which of a run's stages trains a model."""
    return "search" if isinstance(model, Search) else "retraining"


def checkpoint_path(directory: Path, model: LightningModule) -> Path:
    """Where the full state of a stage is kept."""
    name = "last" if isinstance(model, Search) else "retraining-last"
    return directory / "checkpoints" / f"{name}.ckpt"


def serving(callbacks: Sequence[Callback], model: LightningModule) -> list[Callback]:
    """Those of a user's callbacks that belong to a stage; see `serves`.

    Raises:
        ValueError: if one needs alphas that the model has not.
    """
    found = [callback for callback in callbacks if serves(callback, model)]
    useless = [type(callback).__name__ for callback in found if isinstance(callback, NEED_ALPHAS)]
    if useless and isinstance(model, Exploration):
        raise ValueError(
            f"{', '.join(useless)} needs a search with alphas, which Exploration has not; leave it "
            "out"
        )
    return found


def serves(callback: Callback, model: LightningModule) -> bool:
    """Whether a callback belongs to a stage: one that monitors another stage's metric does not."""
    others = ("retraining/",) if isinstance(model, Search) else ("search/", "alphas/", "derived/")
    return not str(getattr(callback, "monitor", None)).startswith(others)


def refuse_unsupported(settings: Mapping[str, Any]) -> None:
    """Turns away trainer settings that two optimizers cannot follow.

    Raises:
        ValueError: naming the setting to use instead.
    """
    if settings["gradient_clip_val"] is not None:
        raise ValueError(
            "trainer.gradient_clip_val is not used here; set model.gradient_clip and "
            "retraining.gradient_clip instead"
        )
    if settings["sync_batchnorm"]:
        raise ValueError(
            "trainer.sync_batchnorm is not used here: the norms of several processes share their "
            "statistics without it; leave it out"
        )
    if settings["accumulate_grad_batches"] != 1:
        raise ValueError(
            "trainer.accumulate_grad_batches must stay 1; set data.search_batch_size and "
            "data.batch_size instead"
        )
    for name in ("val_check_interval", "check_val_every_n_epoch"):
        if settings.get(name) == 0:
            raise ValueError(f"trainer.{name} must be above 0 or null, got 0")
