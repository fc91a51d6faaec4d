"""The command line: a LightningCLI whose `fit` runs all stages."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from darts_lite.cli.errors import (
    guarded,
)
from darts_lite.cli.parsing import (
    FROM_DATA,
    OneLineParser,
    prepare_parsing,
    with_checkpoint_settings,
)
from darts_lite.cli.predict import HEADER, line_of
from darts_lite.data.compatibility import check_alike, check_unseen
from darts_lite.data.datasets import EMBEDDED
from darts_lite.data.image_data import ImageData
from darts_lite.distributed.strategy import prepare, together
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.fit import Fit
from darts_lite.runs.memory_advice import advising
from darts_lite.runs.resume import check_same, take_chosen, unfinished_run, version_of
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.trainer_factory import Trainers
from darts_lite.space.search_space import SearchSpace
from darts_lite.storage.atomic_files import check_writable
from darts_lite.storage.checkpoints import read_checkpoint
from darts_lite.storage.components import class_path
from darts_lite.storage.user_modules import import_own
from darts_lite.training.memory import keep_freed_memory


class DartsCLI(LightningCLI):
    """`fit` searches, derives, retrains, tests and reports; the other verbs need a checkpoint."""

    def __init__(self, args: Sequence[str]) -> None:
        prepare_parsing([SearchSpace])
        super().__init__(
            LightningModule,
            LightningDataModule,
            save_config_callback=None,
            trainer_defaults={"devices": 1, "enable_model_summary": False},
            seed_everything_default=0,
            parser_class=OneLineParser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"allow_abbrev": False, "prog": "darts-lite"},
            args=list(args),
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the groups `retraining` and `run`, and links what must agree."""
        parser.add_argument("--run", type=RunSettings, default=RunSettings())
        parser.add_argument(
            "--retraining",
            type=Callable[[str, int, int], Retraining] | None,
            help="What happens to the found architecture; null stops after deriving it.",
        )
        parser.set_defaults(
            {
                "data": {"class_path": class_path(ImageData)},
                "retraining": {"class_path": class_path(Retraining)},
            }
        )
        for name in FROM_DATA:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses `args`, without Lightning's warning that ``sys.argv`` has some as well."""
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        # Lightning would let a checkpoint's settings override the user's and forget the data's;
        # `with_checkpoint_settings` has put both ahead of the user's arguments already.
        pass

    def before_instantiate_classes(self) -> None:
        """Imports the user's own modules, and checks the checkpoint before anything is built."""
        import_own(self._get(self.config, "run").imports)
        self._going_on = self._find_run() if self.subcommand == "fit" else None
        path = self._get(self.config, "ckpt_path")
        if path is not None:
            held = str(read_checkpoint(path)["model"].get("class_path"))
            asked = self._get(self.config, "model").class_path
            if held.rpartition(".")[2] != asked.rpartition(".")[2]:
                raise ValueError(f"{path} is a checkpoint of {held}, but the model is {asked}")

    def instantiate_trainer(self, **overrides: Any) -> Trainer:
        """A trainer for `self.model`, with callbacks of its own."""
        get = self._get
        settings, run = get(self.config_init, "trainer"), get(self.config_init, "run")
        version = None if self._going_on is None else version_of(self._going_on)
        self.trainers = Trainers(dict(settings), run, self.subcommand or "", version)
        return self.trainers.make(self.model, **overrides)

    def fit(
        self,
        model: LightningModule,
        datamodule: ImageData,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> None:
        """Runs every stage that the configuration asks for."""
        run_all = Fit(
            settings=self.config["fit"],
            text=self._config_text if self._going_on is None else None,
            run=self._get(self.config_init, "run"),
            make_retraining=self._get(self.config_init, "retraining"),
            build=lambda: self._parser("fit").instantiate_classes(self.config["fit"]),
            trainers=self.trainers,
        )
        run_all(self.trainer, model, datamodule, ckpt_path)

    def validate(
        self,
        model: LightningModule,
        datamodule: ImageData,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
        verbose: bool = True,
    ) -> None:
        """Prints the metrics on the validation split, as a table and as a line of JSON."""
        with together(self.trainer), advising(self.trainer, model, datamodule):
            then = self._check_images(datamodule, ckpt_path)
            (metrics,) = self.trainer.validate(model, None, ckpt_path, verbose, datamodule, True)
            self._print_metrics(metrics, datamodule, then)

    def test(
        self,
        model: LightningModule,
        datamodule: ImageData,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
        verbose: bool = True,
    ) -> None:
        """Prints the metrics on the test set, as a table and as a line of JSON."""
        with together(self.trainer), advising(self.trainer, model, datamodule):
            then = self._check_images(datamodule, ckpt_path)
            (metrics,) = self.trainer.test(model, None, ckpt_path, verbose, datamodule, True)
            self._print_metrics(metrics, datamodule, then)

    def predict(
        self,
        model: LightningModule,
        datamodule: ImageData,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
        return_predictions: bool | None = None,
    ) -> None:
        """Prints class and probability of each test image as comma-separated lines."""
        self._check_images(datamodule, ckpt_path)
        with advising(self.trainer, model, datamodule):
            batches = self.trainer.predict(model, None, datamodule, True, ckpt_path, True) or []
        classes = torch.cat([batch[0] for batch in batches]).tolist()
        probabilities = torch.cat([batch[1] for batch in batches]).tolist()
        names = datamodule.class_names
        print(HEADER)
        for index, (label, share) in enumerate(zip(classes, probabilities, strict=True)):
            print(line_of(index, names[label] if names else label, share))

    # ------------------------------------------------------------------ helpers

    def _find_run(self) -> Path | None:
        """The run that is asked to go on, if any; it writes where a new one would."""
        config = self.config["fit"]
        run, last = config.run, config.ckpt_path == "last"
        check_writable(Path(run.folder) / run.name)
        if run.resume is None and not last:
            return None
        found = unfinished_run(Path(run.folder) / run.name)
        if found is None:
            if last:
                raise ValueError(
                    f"no unfinished run in {Path(run.folder) / run.name}; leave --ckpt_path out to "
                    "begin a new one"
                )
            return None
        if isinstance(config.seed_everything, bool):
            raise ValueError("a run goes on exactly only with a number as seed_everything")
        config.ckpt_path = None
        take_chosen(found, config)
        check_same(found, self._config_text())
        return found

    def _check_images(self, data: ImageData, path: str | None) -> str | None:
        """Where a checkpoint's images came from; those at hand are like them, and not the same."""
        content = read_checkpoint(path) if path else {}
        check_alike(content, data.in_channels, data.num_classes, data.class_names)
        then = content.get("data_source")
        prepare(self.trainer, data, "test")
        check_unseen(data.data_source, then)
        return then

    def _print_metrics(
        self, metrics: Mapping[str, float], data: ImageData, then: str | None
    ) -> None:
        print(f"Data: {data.hparams.get('dataset')}, {data.data_source}")
        if then == EMBEDDED != data.data_source:
            print(f"Warning: the checkpoint was made with: {then}. These figures do not compare.")
        print(json.dumps(metrics))

    def _config_text(self) -> str:
        """The resolved configuration, without what only says how this call begins."""
        config = self.config["fit"].clone()
        config["ckpt_path"] = None
        config["run"]["resume"] = None
        config.pop("config", None)
        return self._parser("fit").dump(config, skip_none=False)


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command of the LightningCLI; see `guarded` for a user's mistakes."""
    keep_freed_memory()
    given = sys.argv[1:] if args is None else args
    guarded(lambda: DartsCLI(with_checkpoint_settings(given)))
