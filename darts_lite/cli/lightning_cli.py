"""Runs `fit`, `validate`, `test` and `predict` with the arguments of a LightningCLI."""

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace, dict_to_namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from darts_lite.cli.front.errors import guard
from darts_lite.cli.parsing import (
    FROM_DATA,
    OneLineParser,
    add_checkpoint_settings,
    check_files,
    keep_texts,
    list_kept,
    prepare_parsing,
    spell_out,
)
from darts_lite.cli.verbs.export import INT8, check_formats, export_run
from darts_lite.cli.verbs.tables import format_table
from darts_lite.data.class_balance import describe_recalls
from darts_lite.data.images.compatibility import adapt, check_loaded, read_held_out
from darts_lite.data.images.datasets import is_embedded
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.preparation import read_preparation
from darts_lite.data.split_data import SplitData
from darts_lite.distributed.strategy import connect_processes, prepare
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.test_report import TestReport
from darts_lite.runs.fit import Fit
from darts_lite.runs.memory_advice import advise_on_memory
from darts_lite.runs.parts import Part
from darts_lite.runs.reporting import describe_part
from darts_lite.runs.resume import ARCHITECTURE, DATASET, check_training, choose_run
from darts_lite.runs.run_data import RunData, Seen
from darts_lite.runs.settings import ROOT, TRAINER_DEFAULTS, BudgetSettings, RunSettings
from darts_lite.runs.trainer_factory import TrainerFactory, list_stages
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.budget_penalty import BudgetPenalty
from darts_lite.space.own.building import find_own_module
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.components import class_path
from darts_lite.storage.paths import expand, is_there
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.user_modules import import_own
from darts_lite.training.callbacks import find_callback
from darts_lite.training.memory import keep_freed_memory
from darts_lite.training.signals import stoppable
from darts_lite.training.task import list_own_modules

PATHS = ("ckpt_path", ARCHITECTURE, DATASET, ROOT)
"""Settings that are, or may be, the path of what is read."""


class DartsCLI(LightningCLI):
    """Runs `fit` with all stages of a run, and the other verbs with a checkpoint."""

    def __init__(
        self, args: Sequence[str], checkpoint: Checkpoint | None = None, part: Part | None = None
    ) -> None:
        self.checkpoint, self.part, self._verb = checkpoint, part, args[:1]
        self._seen: Seen | None = None
        prepare_parsing()
        super().__init__(
            LightningModule,
            LightningDataModule,
            save_config_callback=None,
            trainer_defaults=dict(TRAINER_DEFAULTS),
            seed_everything_default=0,
            parser_class=OneLineParser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"allow_abbrev": False, "prog": "darts-lite"},
            args=list(args),
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # a static one there
        """Returns the verb that stands first, if it is known: a parser takes long to make."""
        known = super().subcommands()
        return {verb: known[verb] for verb in self._verb if verb in known} or known

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the groups `retraining`, `run`, `budget`; links the sizes of model and data."""
        parser.add_argument("--run", type=RunSettings, default=RunSettings())
        parser.add_argument("--budget", type=BudgetSettings, default=BudgetSettings())
        parser.add_argument(
            "--retraining",
            type=Callable[[str, int, int], Retraining] | None,
            help="How to retrain the architecture; null stops after deriving it.",
        )
        for group, kind in (("data", ImageData), ("retraining", Retraining)):
            parser.set_defaults({group: {"class_path": class_path(kind)}})
        for name in FROM_DATA:
            target = f"model.init_args.{name}"
            found = partial(self._find_size, name)
            parser.link_arguments("data", target, found, apply_on="instantiate")

    def _find_size(self, name: str, data: LightningDataModule) -> int | None:
        """Returns one of the images' sizes; the channels are those of a trained net, if any."""
        if name == "in_channels" and self._seen is not None:
            return self._seen.preparation.channels
        if name == "image_size":
            return getattr(data, name, None)
        size: int = getattr(data, name)
        return size

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses `args`, without Lightning's warning about other arguments in ``sys.argv``."""
        check_files(args)
        words = spell_out(keep_texts(args))
        self.config = parser.parse_args(words)
        for told in list_kept(words, self.config[self.config["subcommand"]].as_dict()):
            warnings.warn(told, stacklevel=2)

    def _parse_ckpt_path(self) -> None:
        """Does nothing, as Lightning would let a checkpoint's settings override the user's."""

    def before_instantiate_classes(self) -> None:
        """Imports custom modules, and checks the checkpoint before anything is built."""
        self._note_own_modules()
        import_own(self._get(self.config, "run").imports)
        self._expand_paths()
        self._apply_budget()
        self._hand_on_task()
        self._resumed, self._seen = None, None
        if self.part is not None:
            self._resumed = self.part.run
        elif self.subcommand == "fit":
            self._check_export()
            self._resumed = choose_run(self.config["fit"], self._format_config)
        begun = self._resumed if self.part is None else self.part.folder
        if begun is not None and is_there(begun.data):  # runs of earlier versions lack it
            self._seen = RunData.read(begun).seen
        path = self._get(self.config, "ckpt_path")
        if path is None:
            self.checkpoint = None
            return
        if self.checkpoint is None or self.checkpoint.path != Path(path):
            self.checkpoint = Checkpoint.read(path)
        kind, model = self.checkpoint.model, self._get(self.config, "model").class_path
        if kind != model.rpartition(".")[2]:
            raise ValueError(f"{path} is a checkpoint of {kind}, but the model is {model}")
        if (preparation := read_preparation(self.checkpoint)) is not None:
            self._seen = Seen(preparation, read_held_out(self.checkpoint.content))
        if self.subcommand == "fit":
            check_training(self.checkpoint)
            self.checkpoint = None  # the trainer reads it; kept here, it would fill memory

    def _note_own_modules(self) -> None:
        """Adds the modules of the user's network, data and task to what the run imports."""
        config = self.config[self.subcommand]
        space = config.get("model.init_args.space")
        if isinstance(space, Namespace):
            space = space.get("init_args.network")
        found = [find_own_module(space)]
        if isinstance(data := config.get("data.init_args.module"), str):
            found.append(data.rpartition(".")[0])
        if isinstance(task := config.get("model.init_args.task"), Namespace):
            found += list_own_modules(task)
        for module in found:
            if module is not None and module not in config.run.imports:
                config.run.imports = (*config.run.imports, module)

    def _check_export(self) -> None:
        """Checks that what is to be exported at the end can be, before anything is trained."""
        asked = self._get(self.config, "run").export
        if not asked:
            return
        check_formats([name for name in asked if name != INT8], INT8 in asked)
        model = self._get(self.config, "model").class_path.rpartition(".")[2]
        if model != Retraining.__name__ and self._get(self.config, "retraining") is None:
            raise ValueError("run.export needs a trained net, and retraining is null; leave it out")

    def _hand_on_task(self) -> None:
        """Gives the retraining the task of the search."""
        config = self.config[self.subcommand]
        task, retraining = config.get("model.init_args.task"), config.get("retraining")
        if task is not None and retraining is not None and retraining.init_args.get("task") is None:
            retraining.init_args["task"] = task

    def _expand_paths(self) -> None:
        """Expands the paths of the configuration that are read; `RunSettings` does its folder."""
        config = self.config[self.subcommand]
        for name in PATHS:
            if isinstance(text := config.get(name), str):
                config[name] = expand(text, name)

    def _apply_budget(self) -> None:
        """Gives the rule of the search the limits of the group `budget`, and its loss a penalty."""
        config = self.config[self.subcommand]
        name, settings = config.model.class_path.rpartition(".")[2], config.model.init_args
        rule = BudgetSettings(**config.budget.as_dict()).describe_rule(name, settings.as_dict())
        if rule is not None:
            settings["derivation"] = dict_to_namespace(rule)
        if rule is None or name != ArchitectureSearch.__name__:
            return
        given = config.trainer.callbacks or []
        callbacks = given if isinstance(given, list) else [given]
        penalty = class_path(BudgetPenalty)
        if penalty not in [callback.class_path for callback in callbacks]:
            added = dict_to_namespace({"class_path": penalty, "init_args": {}})
            config.trainer.callbacks = [*callbacks, added]

    def instantiate_trainer(self, **overrides: Any) -> Trainer:
        """Returns a trainer for `self.model`."""
        settings, run = (self._get(self.config_init, group) for group in ("trainer", "run"))
        version = None if self._resumed is None else self._resumed.number
        verb = self.subcommand or ""
        stages = list_stages(self.model, verb != "fit" or self._get(self.config, "retraining"))
        self.trainers = TrainerFactory(dict(settings), run, verb, version, stages)
        return self.trainers.make(self.model, **overrides)

    def fit(
        self, model: LightningModule, datamodule: SplitData, ckpt_path: str | None = None, **_: Any
    ) -> None:
        """Runs every stage that the configuration asks for."""
        run_all = Fit(
            settings=self.config["fit"],
            format_config=self._format_config,
            resumes=self._resumed is not None,
            run=self._get(self.config_init, "run"),
            make_retraining=self._get(self.config_init, "retraining"),
            build=lambda: self._parser("fit").instantiate_classes(self.config["fit"]),
            trainers=self.trainers,
            seen=self._seen,
        )
        begin_at = None if ckpt_path is None else Path(ckpt_path)
        if self._seen is not None:
            datamodule.prepare_as(*self._seen)
        if self.part is not None:
            run_all.run_part(self.part, datamodule)
        else:
            run_all(self.trainer, model, datamodule, begin_at)
            if run_all.run.export and self.trainer.is_global_zero:
                export_run(self.trainers.folder, run_all.run, datamodule.hparams.get("root"))

    def validate(
        self, model: LightningModule, datamodule: SplitData, verbose: bool = True, **_: Any
    ) -> None:
        """Prints the metrics on the validation split, as a table and as a line of JSON."""
        self._evaluate(self.trainer.validate, model, datamodule, verbose)

    def test(
        self, model: LightningModule, datamodule: SplitData, verbose: bool = True, **_: Any
    ) -> None:
        """Prints the metrics on the test set, as a table and as a line of JSON."""
        self._evaluate(self.trainer.test, model, datamodule, verbose)

    def predict(self, model: LightningModule, datamodule: SplitData, **_: Any) -> None:
        """Prints class and probability of each test image as comma-separated lines."""
        if getattr(model, "task", None) is not None:
            raise ValueError(
                "predict tells classes, and this net has a task of its own; load it with "
                "darts_lite.Net.from_run and call it"
            )
        self._prepare(model, datamodule)
        with stoppable(), advise_on_memory(self.trainer, model, datamodule):
            batches = self.trainer.predict(model, datamodule=datamodule) or []
        classes = torch.cat([batch[0] for batch in batches]).tolist()
        probabilities = torch.cat([batch[1] for batch in batches]).tolist()
        names = datamodule.class_names
        answers = [names[label] if names else label for label in classes]
        shares = (f"{share:.6f}" for share in probabilities)
        items = datamodule.held_out.names or range(len(answers))
        rows = zip(items, answers, shares, strict=False)
        print(format_table((datamodule.word, "class", "probability"), rows), end="")

    def _prepare(self, model: LightningModule, data: SplitData) -> str | None:
        """Loads weights and data; returns the source of the data of the training, if known."""
        content = {} if self.checkpoint is None else self.checkpoint.content
        adapt(data, content, self._seen and self._seen.preparation)
        if self.checkpoint is not None:
            self.checkpoint.restore(model)
        prepare(self.trainer, data, "test")
        check_loaded(data, content)
        return content.get("data_source")

    def _evaluate(
        self, run: Callable[..., Any], model: LightningModule, data: SplitData, verbose: bool
    ) -> None:
        limit = "limit_test_batches" if run == self.trainer.test else "limit_val_batches"
        if not getattr(self.trainer, limit):
            raise ValueError(f"trainer.{limit} is 0, so there is nothing to look at; leave it out")
        advised = advise_on_memory(self.trainer, model, data)
        with connect_processes(self.trainer), stoppable(), advised:
            trained_on = self._prepare(model, data)
            (metrics,) = run(model, verbose=verbose, datamodule=data)
            print(f"Data: {data.hparams.get(data.named_by)}, {data.data_source}")
            if data.preparation is not None:
                print(f"{data.called.capitalize()}: {data.preparation.describe()}")
            report = find_callback(self.trainer, TestReport)
            if report is not None and (recalls := report.results.get("class_recalls")):
                print(f"Recall: {describe_recalls(recalls)}")
            if part := self._describe_part(data):
                print(f"Figures are{part}")
            if is_embedded(trained_on) and not is_embedded(data.data_source):
                print(f"Warning: the net was trained on {trained_on}; its figures do not compare.")
            if unknown := [name for name, value in metrics.items() if not math.isfinite(value)]:
                print(f"Warning: {', '.join(unknown)} is not a number: the net's weights are wrong")
            print(json.dumps(metrics))

    def _describe_part(self, data: SplitData) -> str:
        """Returns in words how many items were looked at, if a limit has left some of them out."""
        if (report := find_callback(self.trainer, TestReport)) is not None:
            return describe_part(
                report.results | {"test_images_in_all": data.split_sizes["test"]}, data.called
            )
        each = data.hparams["evaluation_batch_size"] * self.trainer.world_size
        whole = data.split_sizes["validation"]
        seen = min(whole, int(sum(self.trainer.num_val_batches)) * each)
        return "" if seen == whole else f" of {seen:,} of {whole:,} validation {data.called}"

    def _format_config(self) -> str:
        """Returns the resolved configuration, without the settings that only resume a run."""
        config = self.config["fit"].clone()
        config["ckpt_path"] = None
        config["run"]["resume"] = None
        config.pop("config", None)
        return self._parser("fit").dump(config, skip_none=False)


def run(options: argparse.Namespace) -> None:
    """Runs a part of a run; it goes on where it was, and ends with the process that began it."""
    part = Part(RunFolder(Path(options.folder)), options.group, options.name)
    if not part.folder.config.exists():
        raise ValueError(f"{part.folder} has no config.yaml; fit writes it when it begins the part")
    keep_freed_memory()
    place = part.run.path.parent  # the run may have been moved, or be copied to another machine
    moved = [f"--run.folder={place.parent}", f"--run.name={place.name}"]
    DartsCLI(["fit", "--config", str(part.folder.config), *moved], part=part)


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command of the LightningCLI; see `guard` for a user's mistakes."""
    keep_freed_memory()
    given = sys.argv[1:] if args is None else args
    guard(lambda: DartsCLI(*add_checkpoint_settings(given)))
