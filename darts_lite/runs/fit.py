"""A run of `fit`: what it is made of, and its stages in their order."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger

from darts_lite.data.image_data import ImageData
from darts_lite.derivation.budget import for_data
from darts_lite.derivation.consensus import admitted, random_architectures
from darts_lite.derivation.rules import Derivation, Strongest
from darts_lite.distributed.strategy import prepare, together
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import repeats, reporting, stages
from darts_lite.runs.repeats import check_trust
from darts_lite.runs.resume import check_data, claimed, resume_point
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.trainer_factory import Trainers
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.executors import AUTO
from darts_lite.space.architecture import Architecture
from darts_lite.space.encoding import any_architecture
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.run_record import Record
from darts_lite.training.signals import stoppable

SUMMARY_KEYS = (
    "algorithm",
    "architecture",
    "search_seconds",
    "retrain_seconds",
    "test_accuracy",
    "test_loss",
    "params",
    "macs",
)

MakeRetraining = Callable[[str | Architecture, int, int], Retraining]
"""Of an architecture, the channels of the images and the number of classes."""


@dataclass(frozen=True)
class Fit:
    """Searches, derives, retrains, tests and reports, as far as that is asked for.

    Args:
        settings: The whole parsed configuration.
        text: Writes it as ``config.yaml`` keeps it; None where a run goes on that has it already.
        run: The group of that name.
        make_retraining: Makes what trains an architecture's net; None stops after deriving.
        build: Builds model and data anew, as the configuration says.
        trainers: Makes the trainers of all stages.
    """

    settings: Any
    text: Callable[[], str] | None
    run: RunSettings
    make_retraining: MakeRetraining | None
    build: Callable[[], Any]
    trainers: Trainers

    def __call__(
        self, trainer: Trainer, model: LightningModule, data: ImageData, ckpt_path: str | None
    ) -> None:
        """Runs the stages.

        Args:
            trainer, model, data: Of the first stage.
            ckpt_path: A checkpoint to begin with.

        Raises:
            ValueError: if the configuration asks for what does not go together.
        """
        check_trust(self.run, model, self.settings, trainer.limit_test_batches, ckpt_path)
        if trainer.world_size > 1 and isinstance(self.settings["seed_everything"], bool):
            raise ValueError(
                "several processes must draw the same random numbers; set seed_everything to a "
                "number"
            )
        with together(trainer), stoppable():
            self._run(trainer, model, data, ckpt_path)

    def _run(
        self, trainer: Trainer, model: LightningModule, data: ImageData, ckpt_path: str | None
    ) -> None:
        prepare(trainer, data, "fit")
        self._try_retraining(model, data)
        directory = self._directory(trainer)
        with claimed(directory, self.text is not None) if trainer.is_global_zero else nullcontext():
            self._run_stages(trainer, model, data, directory, ckpt_path)

    def _run_stages(
        self,
        trainer: Trainer,
        model: LightningModule,
        data: ImageData,
        directory: Path,
        ckpt_path: str | None,
    ) -> None:
        record = Record(directory, trainer.is_global_zero)
        if isinstance(model, ArchitectureSearch):
            self._choose_executor(trainer, model, data)
        if self.text is None:
            print(f"Going on with {directory}", flush=True)
            check_data(record.summary, data.checksum, data.data_source)
        elif trainer.is_global_zero:
            write_text(directory / "config.yaml", self.text())
        known = reporting.describe_start(trainer, model, data, directory)
        known["seed"] = self.settings["seed_everything"]
        record.begin(dict.fromkeys(SUMMARY_KEYS) | known)
        if isinstance(model, Retraining):
            record.summary["algorithm"] = model.architecture.found_by.get("algorithm")
            stages.retrain_and_test(trainer, model, data, record, ckpt_path)
        else:
            assert isinstance(model, stages.Search)
            trainer = self._search_and_retrain(trainer, model, data, record, ckpt_path)
        groups = self.settings.as_dict()
        shown = {name: groups[name] for name in ("model", "retraining", "data")}
        reporting.log_hyperparameters(trainer, shown, record.summary)
        record.finish()
        if trainer.is_global_zero:
            reporting.report(directory, record.summary)

    def _choose_executor(
        self, trainer: Trainer, model: ArchitectureSearch, data: ImageData
    ) -> None:
        """Settles what the configuration leaves open, so that all that follows has the same."""
        model.execution.choose(trainer, data)
        settings = self.settings["model"]["init_args"]
        if settings["executor"] in (None, AUTO):
            settings["executor"] = model.execution.name

    def _directory(self, trainer: Trainer) -> Path:
        """That of the run.

        Raises:
            ValueError: if processes differ in that, or in their seed.
        """
        own = (str(self.trainers.directory), self.settings["seed_everything"])
        first = trainer.strategy.broadcast(own)
        if first != own:
            raise ValueError(
                f"process {trainer.global_rank} has the folder and seed {own}, the first one "
                f"{first}; all need one run.folder, on a disk that they share, and one number as "
                "seed_everything"
            )
        return self.trainers.directory

    def _search_and_retrain(
        self,
        trainer: Trainer,
        model: stages.Search,
        data: ImageData,
        record: Record,
        ckpt_path: str | None,
    ) -> Trainer:
        """All stages that begin with a search; returns the trainer of the last one."""
        directory = record.directory
        if self.run.seeds > 1:
            found = directory / "architecture.json"
            attempts = self._attempts()
            record.stage(
                "search",
                lambda: repeats.search_seeds(attempts, trainer, directory),
                leaves=found,
            )
        else:
            found = directory / "checkpoints" / "last.ckpt"

            def search() -> dict[str, Any]:
                start = ckpt_path or resume_point(found, record)
                return stages.search(trainer, model, data, directory, start)

            record.stage("search", search, leaves=found)
        if self.make_retraining is None:
            return trainer
        self._seed(0)
        net, retrainer = self._retraining(self.make_retraining, str(found), data)
        stages.retrain_and_test(retrainer, net, data, record)
        if self.run.control is not None:
            controls = self._controls(self.make_retraining, net.architecture, model, data)
            accuracy = record.summary["test_accuracy"]
            record.stage("control", lambda: repeats.control(accuracy, controls, data, retrainer))
        return retrainer

    def _seed(self, number: int) -> None:
        """Seeds a part of the run, where the run has a seed."""
        first = self.settings["seed_everything"]
        if first is not False:
            seed_everything(int(first) + number, workers=True, verbose=False)

    def _attempts(self) -> Iterator[repeats.Attempt]:
        """A search for each seed, built as if it was the run's only one."""
        first = self.settings["seed_everything"]
        for seed in range(first, first + self.run.seeds):
            self._seed(seed - first)
            made = self.build()
            logger = self.trainers.beside("seeds", str(seed))
            trainer = self.trainers.make(made.model, logger)
            made.data.setup("fit")
            record = Record(Path(logger.log_dir), trainer.is_global_zero)
            yield repeats.Attempt(seed, trainer, made.model, made.data, record)

    def _retraining(
        self,
        make: MakeRetraining,
        found: str | Architecture,
        data: ImageData,
        part: TensorBoardLogger | None = None,
    ) -> tuple[Retraining, Trainer]:
        """What trains an architecture's net."""
        net = make(found, data.in_channels, data.num_classes)
        return net, self.trainers.make(net, part, max_epochs=net.max_epochs, max_steps=-1)

    def _controls(
        self, make: MakeRetraining, found: Architecture, model: stages.Search, data: ImageData
    ) -> Iterator[tuple[Trainer, Retraining, Record]]:
        """A training for each random architecture, with a seed of its own; a budget binds them."""
        first, space = int(self.settings["seed_everything"] or 0), model.space
        rule: Derivation = getattr(model, "derivation", Strongest())
        rule = for_data(rule, data.in_channels, data.num_classes, data.image_size)
        count, admits = self.run.control_nets, admitted(space, rule)
        drawn = random_architectures(space, count, Random(first), found, admits)
        if not drawn:
            raise ValueError(
                "no random architecture is another one within the limits of the search's "
                "derivation; leave out run.control, or raise the limits"
            )
        for number, architecture in enumerate(drawn):
            self._seed(1 + number)
            logger = self.trainers.beside("controls", str(number))
            net, trainer = self._retraining(make, architecture, data, logger)
            yield trainer, net, Record(Path(logger.log_dir), trainer.is_global_zero)

    def _try_retraining(self, model: LightningModule, data: ImageData) -> None:
        """Builds what will be retrained, so that a mistake there does not wait for the search."""
        if self.make_retraining is None or not isinstance(model, stages.Search):
            return
        if not self.settings["retraining"]["init_args"].get("inherit"):
            architecture = any_architecture(model.space)
            with torch.random.fork_rng(devices=[]):
                self.make_retraining(architecture, data.in_channels, data.num_classes)
