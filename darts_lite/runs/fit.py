"""Runs `fit`: search, derive, retrain, test, report."""

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from darts_lite.data.class_balance import doubt_counts, name_classes
from darts_lite.data.images.datasets import find_root
from darts_lite.data.split_data import SplitData, check_inputs
from darts_lite.distributed.strategy import connect_processes, prepare
from darts_lite.launchers.jobs import Launcher
from darts_lite.networks.kinds import read_architecture
from darts_lite.retraining.from_search import NO_SUPERNET
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import controls, repeats, reporting, stages
from darts_lite.runs.controls import MakeRetraining
from darts_lite.runs.parts import Part, choose_launcher, launch_parts, limit_threads
from darts_lite.runs.repeats import seed_part
from darts_lite.runs.resume import check_architecture, claim, tell_image_size
from darts_lite.runs.run_data import RunData, Seen, check_data
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.trainer_factory import TrainerFactory
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search
from darts_lite.search.executors import AUTO
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.atomic_files import format_names, write_text
from darts_lite.storage.data_places import remember_place
from darts_lite.storage.run_folder import SEEDS, RunFolder, find_last_checkpoint
from darts_lite.storage.run_record import RunRecord
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
"""Keys that every summary has; their values are None until they are known."""
LEAVING = 60.0
"""Seconds that a part of a run has to leave its folder, after the process that began it died."""
OUTSIDE = "; what has been trained is kept, and --run.resume auto goes on from there"


@dataclass(frozen=True)
class Fit:
    """Searches, derives, retrains, tests and reports, as far as the configuration asks for it.

    Args:
        settings: The whole parsed configuration.
        format_config: Returns the text of ``config.yaml``.
        resumes: Whether the run goes on, and so has the file.
        make_retraining: None stops after deriving.
        build: Builds model and data anew from the configuration.
        seen: How the net saw its items with whose checkpoint the run began; None without one.
    """

    settings: Any
    format_config: Callable[[], str]
    resumes: bool
    run: RunSettings
    make_retraining: MakeRetraining | None
    build: Callable[[], Any]
    trainers: TrainerFactory
    seen: Seen | None

    def __call__(
        self, trainer: Trainer, model: LightningModule, data: SplitData, begin_at: Path | None
    ) -> None:
        """Runs the stages in all processes, from another run's checkpoint if one is given."""
        repeats.check_repeats(self.run, model, self.settings, trainer.limit_test_batches, begin_at)
        if trainer.world_size > 1 and isinstance(self._seed, bool):
            raise ValueError(
                "several processes must draw the same random numbers; set seed_everything to a "
                "number"
            )
        if self.run.seeds > 1 or self.run.control is not None:
            self._choose_launcher(trainer)  # what is wrong with it is told before the search
        with connect_processes(trainer), stoppable(OUTSIDE):
            prepare(trainer, data, "fit")
            if isinstance(model, Search):
                check_inputs(data, model.space.axes)
            check_asked_files(data, model, self.run.export)
            self._try_retraining(model, data)
            folder, writes = self._shared_folder(trainer), trainer.is_global_zero
            claimed = claim(folder, not self.resumes) if writes else nullcontext()
            with claimed, self._withdrawing(trainer, folder):
                self._run(trainer, model, data, RunRecord(folder, writes), begin_at)

    def run_part(self, part: Part, data: SplitData) -> None:
        """Runs one of several searches, or one rival, which the run itself has begun."""
        with (
            stoppable(OUTSIDE),
            limit_threads(self.run.job_threads),
            claim(part.folder, new=False, patience=LEAVING),
        ):
            known = RunData.read(part.folder)
            if part.group == SEEDS:
                (one,) = repeats.make_searches(self.trainers, self.build, int(part.name), 1, known)
                repeats.search_once(one)
            elif self.make_retraining is not None:
                data.setup("fit")
                known.check(data)
                rival = controls.Rival.read(part.folder, int(part.name))
                trainings = controls.make_trainings(
                    self.trainers, self.make_retraining, [rival], data, self._seed
                )
                for training in trainings:
                    controls.train_rival(training, data)

    def _run(
        self,
        trainer: Trainer,
        model: LightningModule,
        data: SplitData,
        record: RunRecord,
        begin_at: Path | None,
    ) -> None:
        """Runs the stages that are not finished, and reports."""
        if not isinstance(model, Search | Retraining):
            return
        self._begin(trainer, model, data, record)
        if isinstance(model, Retraining):
            stages.retrain_and_test(trainer, model, data, record, begin_at)
        else:
            found = self._search_and_derive(trainer, model, data, record, begin_at)
            if self.make_retraining is not None:
                trainer = self._retrain(self.make_retraining, found, model, data, record)
        self._report(trainer, record)

    @contextmanager
    def _withdrawing(self, trainer: Trainer, folder: RunFolder) -> Iterator[None]:
        """Deletes the folder of a new run that is refused before its first step.

        It would be taken for a run, and refuse the settings that mend the mistake. The folders of
        jobs tell why they have failed, and stay. One that is stopped before it has written its
        settings could not go on either.
        """
        try:
            yield
        except BaseException as error:
            is_refused = isinstance(error, ValueError | MisconfigurationException)
            is_begun = trainer.global_step or find_last_checkpoint(folder.path) is not None
            is_begun = is_begun or (folder.path / SEEDS).exists()
            is_useless = not is_begun and (is_refused or not folder.config.exists())
            if is_useless and not self.resumes and trainer.is_global_zero:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise

    def _begin(
        self, trainer: Trainer, model: Search | Retraining, data: SplitData, record: RunRecord
    ) -> None:
        """Chooses the executor if it is left open, and writes what is known before training."""
        if isinstance(model, ArchitectureSearch):
            model.execution.choose(trainer, data)
            settings = self.settings["model"]["init_args"]
            if settings["executor"] in (None, AUTO):
                settings["executor"] = model.execution.name
        tell_image_size(self.settings, data)
        if self.resumes:
            print(f"Going on with {record.folder}", flush=True)
            check_data(record.summary, data)
            if isinstance(model, Retraining):
                check_architecture(record.folder, model.architecture)
        elif trainer.is_global_zero:
            write_text(record.folder.config, self.format_config())
            RunData.of(data, self.seen).write(record.folder)
            if data.held_out.chosen:
                write_text(record.folder.held_out, format_names(data.held_out.names))
        if trainer.is_global_zero and "dataset" in data.hparams:
            root = find_root(data.hparams.get("root"))
            remember_place(data.checksum, str(data.hparams["dataset"]), root)
        known = reporting.describe_start(trainer, model, data, record.folder)
        known["seed"] = self._seed
        retrains = self.make_retraining is not None
        for doubt in reporting.doubt_batches(data, model, retrains, trainer.world_size):
            print(doubt, flush=True)
        if (counts := data.class_counts) is not None:
            names = name_classes(data.class_names, data.num_classes)
            for doubt in doubt_counts(
                names, counts.tolist(), self._weighs_classes(model), data.called
            ):
                print(f"Warning: {doubt}", flush=True)
        if record.summary:
            (session,) = known["sessions"]
            sessions = reporting.add_session(record.summary, session)
            record.summary |= {"sessions": sessions, **session}
        figures = dict.fromkeys((*SUMMARY_KEYS, model.score.of_test))
        record.begin(figures | known)
        if isinstance(model, Retraining):
            record.summary["algorithm"] = model.architecture.found_by.get("algorithm")

    def _search_and_derive(
        self,
        trainer: Trainer,
        model: Search,
        data: SplitData,
        record: RunRecord,
        begin_at: Path | None,
    ) -> AnyArchitecture | Path:
        """Returns the architecture, or a checkpoint if the net inherits the supernet's weights."""
        folder, count = record.folder, self.run.seeds
        found: AnyArchitecture | None = None

        def search() -> Mapping[str, Any]:
            nonlocal found
            if count > 1:
                names = [str(seed) for seed in range(self._seed, self._seed + count)]
                known, parts = RunData.of(data, None), [Part(folder, SEEDS, name) for name in names]
                with self._as_jobs(trainer, parts, known):
                    searches = repeats.make_searches(
                        self.trainers, self.build, self._seed, count, known
                    )
                    found, results = repeats.search_seeds(searches, trainer, folder)
            else:
                found, results = stages.search(trainer, model, data, record, begin_at)
            return results

        left = folder.architecture if count > 1 else folder.checkpoint("search")
        record.stage("search", search, leaves=(left,))
        stages.pass_on_signals(trainer)
        if self._inherits:
            return folder.checkpoint("search")
        return found or read_architecture(folder.architecture)

    def _retrain(
        self,
        make: MakeRetraining,
        found: AnyArchitecture | Path,
        model: Search,
        data: SplitData,
        record: RunRecord,
    ) -> Trainer:
        """Retrains and tests the net, and rivals if wanted; returns the trainer of the net."""
        seed_part(self._seed, 0)
        net = make(found, data.in_channels, data.num_classes)
        trainer = self.trainers.make_for_net(net)
        stages.retrain_and_test(trainer, net, data, record)
        if self.run.control is not None:
            rivals = controls.list_rivals(
                self.run, model, net.architecture, data, self._seed, record.summary
            )
            trainings = controls.make_trainings(self.trainers, make, rivals, data, self._seed)
            score = net.score
            reached = self.run.control, score, record.summary[score.of_test]

            def rank() -> Mapping[str, Any]:
                parts = [rival.part(record.folder) for rival in rivals]
                if trainer.is_global_zero:
                    for rival, part in zip(rivals, parts, strict=True):
                        rival.write(part.folder)
                with self._as_jobs(trainer, parts, RunData.of(data, self.seen)):
                    return controls.rank_among_rivals(*reached, trainings, data, trainer)

            record.stage("control", rank)
        return trainer

    @contextmanager
    def _as_jobs(self, trainer: Trainer, parts: Sequence[Part], known: RunData) -> Iterator[None]:
        """Runs parts as jobs; what follows finds them finished, or runs them in this process."""
        launcher = self._choose_launcher(trainer)
        launch_parts(self.run, parts, self.format_config, known, launcher)
        with limit_threads(self.run.job_threads) if trainer.world_size == 1 else nullcontext():
            yield

    def _choose_launcher(self, trainer: Trainer) -> Launcher | None:
        """Returns the launcher; None for several processes, which run the parts one by one."""
        if trainer.world_size > 1:
            return None
        return choose_launcher(self.run, str(self.settings["trainer"]["accelerator"]))

    def _report(self, trainer: Trainer, record: RunRecord) -> None:
        groups = self.settings.as_dict()
        shown = {name: groups[name] for name in ("model", "retraining", "data")}
        reporting.log_hyperparameters(trainer, shown, record.summary)
        record.finish()
        if trainer.is_global_zero:
            dataset = str(self.settings["data"]["init_args"].get("dataset"))
            reporting.report(record.folder, record.summary, self.run.imports, dataset)

    def _shared_folder(self, trainer: Trainer) -> RunFolder:
        """Returns the folder of the run, if all processes have the same folder and seed."""
        own = (str(self.trainers.folder), self._seed)
        first = trainer.strategy.broadcast(own)
        if first != own:
            raise ValueError(
                f"process {trainer.global_rank} has the folder and seed {own}, the first one "
                f"{first}; all need one run.folder, on a disk that they share, and one number as "
                "seed_everything"
            )
        return self.trainers.folder

    def _try_retraining(self, model: LightningModule, data: SplitData) -> None:
        """Builds a retraining, so that an error in its settings is found before the search."""
        if self.make_retraining is None or not isinstance(model, Search):
            return
        if self._inherits:
            if isinstance(model, PlayOff):
                raise ValueError(NO_SUPERNET)
            return
        with torch.random.fork_rng(devices=[]):
            architecture = model.space.first_architecture()
            self.make_retraining(architecture, data.in_channels, data.num_classes)

    @property
    def _seed(self) -> int | bool:
        return self.settings["seed_everything"]

    def _weighs_classes(self, model: LightningModule) -> bool:
        """Returns whether the last training of the run weighs classes."""
        group = "model" if isinstance(model, Retraining) else "retraining"
        settings = self.settings[group] or self.settings["model"]
        return settings["init_args"].get("class_weights") is not None

    @property
    def _inherits(self) -> bool:
        retraining = self.settings["retraining"]
        return retraining is not None and bool(retraining["init_args"].get("inherit"))


def check_asked_files(data: SplitData, model: LightningModule, exports: Collection[str]) -> None:
    """Raises ValueError if a setting is about files that nets of such items cannot have."""
    rule, seen = getattr(model, "derivation", None), data.preparation
    if seen is None and exports:
        raise ValueError(
            "run.export is for nets that tell classes, and these data are of your own; leave it "
            "out, load the net with darts_lite.Net.from_run, and export it with torch.onnx.export"
        )
    if seen is None or seen.measured is not None:
        return
    files = f"is about LiteRT and int8 files, which nets of {data.called} do not have"
    for name in ("arena", "file"):
        if getattr(rule, name, None) is not None:
            raise ValueError(f"budget.{name} {files}; limit budget.memory and budget.flash instead")
    for name in ("int8", "c", "litert"):
        if name in exports:
            raise ValueError(f"{name} in run.export {files}; leave it out")
