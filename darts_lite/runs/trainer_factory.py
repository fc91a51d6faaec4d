"""Makes the trainer of each stage of a run."""

import copy
import os
import secrets
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
from darts_lite.runs.callbacks.failure_point import FailurePoint
from darts_lite.runs.callbacks.history import History
from darts_lite.runs.callbacks.progress import PlainProgress, ProgressLine
from darts_lite.runs.callbacks.test_report import TestReport
from darts_lite.runs.precision import choose_precision
from darts_lite.runs.settings import RunSettings
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search
from darts_lite.search.callbacks.budget_penalty import BudgetPenalty
from darts_lite.search.callbacks.cost_penalty import CostPenalty
from darts_lite.search.callbacks.discretisation_gap import DiscretisationGap
from darts_lite.search.callbacks.eigenvalue_monitor import EigenvalueMonitor
from darts_lite.search.callbacks.operation_freezing import OperationFreezing
from darts_lite.search.callbacks.perturbation import Perturbation
from darts_lite.storage.run_folder import RunFolder
from darts_lite.training.checkpointing import AtomicCheckpointIO, StageCheckpoint
from darts_lite.training.loss_scaling import SkippedSteps
from darts_lite.training.nonfinite import NonFiniteGuard
from darts_lite.training.trainer_settings import refuse_unsupported

NEED_ALPHAS = (BudgetPenalty, CostPenalty, EigenvalueMonitor, OperationFreezing, Perturbation)
"""Callbacks that need a search with alphas."""


@dataclass(frozen=True)
class TrainerFactory:
    """Makes the trainers of a run from the settings that all its stages share.

    Args:
        settings: Arguments of Lightning's Trainer.
        verb: fit, validate, test or predict.
        version: Number of the run to resume; None begins a new one.
        stages: Names of the stages of the run, in their order.
    """

    settings: Mapping[str, Any]
    run: RunSettings
    verb: str
    version: int | None = None
    stages: tuple[str, ...] = ("search", "retraining", "test")

    @cached_property
    def logger(self) -> TensorBoardLogger:
        """The logger of the run, which determines the run's folder."""
        return make_logger(self.run.folder, self.run.name, self.version)

    @property
    def folder(self) -> RunFolder:
        """The folder of the run."""
        return RunFolder(Path(self.logger.log_dir))

    def make_part_logger(self, group: str, name: str) -> TensorBoardLogger:
        """Returns a logger that writes to ``<group>/<name>/`` inside the run's folder."""
        return make_logger(self.folder.path, group, name)

    def make(
        self, model: LightningModule, part: TensorBoardLogger | None = None, **overrides: Any
    ) -> Trainer:
        """Returns a trainer with the callbacks that its model needs.

        Args:
            part: Logger for a part of the run; None means the logger of the run.
            overrides: Arguments of Lightning's Trainer that differ for this stage.
        """
        settings = copy.deepcopy({k: v for k, v in self.settings.items() if k != "logger"})
        settings |= overrides
        if isinstance(model, Retraining) and settings["max_epochs"] is None:
            settings["max_epochs"] = model.max_epochs
        if self.verb == "fit":
            check_training(model, settings)
        refuse_unsupported(settings)
        chosen = choose_precision(settings["accelerator"], settings["precision"])
        plugins = [*as_list(settings["plugins"]), *chosen.get("plugins", ()), AtomicCheckpointIO()]
        settings |= chosen | {"plugins": plugins, "logger": self._choose_loggers(part)}
        if self.verb != "fit":
            settings["enable_checkpointing"] = False
        folder = RunFolder(Path((part or self.logger).log_dir))
        settings["callbacks"] = [
            *select_callbacks(as_list(settings["callbacks"]), model),
            *self._make_callbacks(model, settings, folder, part),
        ]
        settings["enable_progress_bar"] = False  # that of Lightning
        trainer = make_trainer(settings)
        if type(trainer.strategy) is DDPStrategy and settings["strategy"] in NAMES:
            trainer = make_trainer(settings | {"strategy": JointBatch()})
        check_strategy(trainer, settings["strategy"])
        if trainer.precision == "64-true":
            model.double()  # Lightning does this only after weight averaging has copied the weights
        if trainer.world_size > 1 and self.verb == "predict":
            raise ValueError("predict prints one list; set trainer.devices to 1 for it")
        return trainer

    def make_for_net(self, net: Retraining, part: TensorBoardLogger | None = None) -> Trainer:
        """Returns a trainer for the retraining that follows a search."""
        return self.make(net, part, max_epochs=net.max_epochs, max_steps=-1)

    def _choose_loggers(self, part: TensorBoardLogger | None) -> list[Logger] | bool:
        """Returns TensorBoard's logger, and for the run itself those of the configuration."""
        configured = self.settings["logger"]
        if self.verb != "fit" or configured is False:
            return False
        others = as_list(configured) if part is None and configured is not True else []
        return [part or self.logger, *others]

    def _make_callbacks(
        self,
        model: LightningModule,
        settings: Mapping[str, Any],
        folder: RunFolder,
        part: TensorBoardLogger | None,
    ) -> list[Callback]:
        callbacks: list[Callback] = [FailurePoint()]
        if isinstance(model, Retraining) and self.verb in ("fit", "test"):
            callbacks.append(TestReport())
        if self.verb != "fit":
            return [*callbacks, *([DiscretisationGap()] if self.verb == "validate" else [])]
        callbacks.append(EpochMeans())  # before the callbacks that show the means
        stage = "search" if isinstance(model, Search) else "retraining"
        if settings["enable_progress_bar"] is not False:
            show = ProgressLine if sys.stdout.isatty() else PlainProgress
            callbacks.append(show(self._name_stage(stage, part)))
        path = folder.checkpoint(stage)
        rolls_back = self.run.on_nonfinite == "rollback"
        guard = NonFiniteGuard(path, self.run.max_rollbacks if rolls_back else 0)
        callbacks += [SkippedSteps(), guard, History(folder.history(stage))]
        if stage == "search":
            callbacks += [ArchitectureBoard(), DiscretisationGap()]
            if self.run.max_minutes is not None:
                if settings.get("max_time") is not None:
                    raise ValueError(
                        "run.max_minutes and trainer.max_time both end a search; leave one out"
                    )
                callbacks.append(Timer(timedelta(minutes=self.run.max_minutes)))
        if settings["enable_checkpointing"] is not False and not settings["fast_dev_run"]:
            run = self.run
            interval = (run.save_every_steps, run.save_every_minutes, run.keep_checkpoints)
            callbacks.append(StageCheckpoint(path, *interval, at_start=rolls_back))
        elif rolls_back and not settings["fast_dev_run"]:
            raise ValueError(
                "run.on_nonfinite rollback goes back to checkpoints; leave out "
                "trainer.enable_checkpointing"
            )
        return callbacks

    def _name_stage(self, stage: str, part: TensorBoardLogger | None) -> str:
        """Returns the name of a part of the run, or a stage with its number."""
        if part is not None:
            return f"{part.name}/{part.version}"
        number = self.stages.index(stage) + 1 if stage in self.stages else 1
        return f"{stage} {number}/{len(self.stages)}"


def list_stages(model: LightningModule, retrains: bool) -> tuple[str, ...]:
    """Returns the stages of a run that begins with a model; a search may be followed by more."""
    after = ("retraining", "test")
    if isinstance(model, Retraining):
        return after
    return ("search", *after) if retrains else ("search",)


def make_logger(folder: str | Path, name: str, version: int | str | None) -> TensorBoardLogger:
    """Returns a logger whose files have names of their own, also where a clock was set back."""
    suffix = f".{secrets.token_hex(4)}"
    return TensorBoardLogger(folder, name, version, default_hp_metric=False, filename_suffix=suffix)


def as_list(value: Any) -> list[Any]:
    """Returns the values of a setting, which may be None, one value or a list, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def check_training(model: LightningModule, settings: Mapping[str, Any]) -> None:
    """Checks that `fit` can train a model, and that the training has an end."""
    if not isinstance(model, Search | Retraining):
        raise ValueError(
            f"fit does not know {type(model).__name__}; model.class_path must be "
            "darts_lite.ArchitectureSearch, darts_lite.PlayOff, darts_lite.Exploration or "
            "darts_lite.Retraining"
        )
    if settings["max_epochs"] in (None, -1) and settings["max_steps"] < 0:
        raise ValueError("the training has no end; set trainer.max_epochs or trainer.max_steps")
    if settings["max_epochs"] == 0:
        raise ValueError("trainer.max_epochs is 0, which trains nothing; set at least 1")


def make_trainer(settings: Mapping[str, Any]) -> Trainer:
    """Returns a trainer; ValueError if Lightning cannot use a setting, or what a cluster set."""
    try:
        return Trainer(**settings)
    except (TypeError, OverflowError, ValueError, RuntimeError) as error:
        names = [name for name in sorted(os.environ) if name.startswith("SLURM_NTASKS")]
        cluster = f"; {' and '.join(names)} is set in the environment" if names else ""
        raise ValueError(f"trainer: {error}{cluster}") from error


def select_callbacks(callbacks: Sequence[Callback], model: LightningModule) -> list[Callback]:
    """Returns those callbacks of the configuration that belong to a stage; see `serves`."""
    found = [callback for callback in callbacks if serves(callback, model)]
    useless = [type(callback).__name__ for callback in found if isinstance(callback, NEED_ALPHAS)]
    if useless and isinstance(model, Search) and not isinstance(model, ArchitectureSearch):
        raise ValueError(
            f"{', '.join(useless)} needs a search with alphas, and {type(model).__name__} has "
            "none; leave it out"
        )
    return found


def serves(callback: Callback, model: LightningModule) -> bool:
    """Returns False for a callback that monitors a metric of another stage."""
    others = (
        ("retraining/",)
        if isinstance(model, Search)
        else ("search/", "alphas/", "budget/", "derived/")
    )
    return not str(getattr(callback, "monitor", None)).startswith(others)
