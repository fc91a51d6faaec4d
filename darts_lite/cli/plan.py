"""The verb `plan`: parses what `fit` parses, and tells what it would take."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightning.pytorch import LightningModule

from darts_lite.cli.errors import guarded
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.data.image_data import ImageData
from darts_lite.planning.planner import Planner
from darts_lite.planning.report import report
from darts_lite.runs.repeats import check_trust
from darts_lite.storage.atomic_files import check_writable
from darts_lite.training.memory import keep_freed_memory


class PlanCLI(DartsCLI):
    """Parses what `fit` parses, and measures instead of running it."""

    def before_instantiate_classes(self) -> None:
        """Lets everything be written into a folder that is thrown away."""
        config = self.config["fit"]
        run, trainer, retraining = config["run"], config["trainer"], config["retraining"]
        check_writable(Path(run["folder"]) / run["name"])
        if trainer["fast_dev_run"]:
            raise ValueError("plan measures what a whole run takes; leave fast_dev_run out")
        self._folder = tempfile.TemporaryDirectory()
        run["folder"], run["resume"], config["ckpt_path"] = self._folder.name, None, None
        trainer["logger"] = None  # those beside TensorBoard's may write anywhere
        if retraining is not None:  # there are no weights to inherit yet
            retraining["init_args"]["inherit"] = False
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
            run = self._get(self.config_init, "run")
            limit = self.trainer.limit_test_batches
            check_trust(run, model, self.config["fit"], limit, ckpt_path)
            planner = Planner(
                datamodule,
                replace(self.trainers, run=replace(run, max_minutes=None)),
                self._get(self.config_init, "trainer"),
                run,
                self._get(self.config_init, "retraining"),
            )
            report(planner(model))


def main(arguments: Sequence[str]) -> None:
    """Plans what `fit` would do with the arguments that follow the verb."""
    keep_freed_memory()
    guarded(lambda: PlanCLI(["fit", *arguments[1:]]))
