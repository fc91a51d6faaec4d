"""`plan`: measures the time and memory that `fit` would take with the same arguments."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule

from darts_lite.cli.front.errors import guard
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.data.split_data import SplitData
from darts_lite.planning.plan_report import report
from darts_lite.planning.planner import Planner
from darts_lite.runs.repeats import check_repeats
from darts_lite.runs.settings import RunSettings
from darts_lite.storage.atomic_files import check_writable
from darts_lite.storage.leftovers import work_in_folder
from darts_lite.training.memory import keep_freed_memory
from darts_lite.training.signals import stoppable


class PlanCLI(DartsCLI):
    """Parses the arguments of `fit`, and measures its stages instead of running them.

    Args:
        folder: Takes all files of the measured stages.
    """

    def __init__(self, args: Sequence[str], folder: Path) -> None:
        self._folder = folder
        super().__init__(args)

    def before_instantiate_classes(self) -> None:
        """Sends all files of the measured stages to the folder."""
        config = self.config["fit"]
        run, trainer, retraining = config["run"], config["trainer"], config["retraining"]
        check_writable(RunSettings(**run.as_dict()).place)
        if trainer["fast_dev_run"]:
            raise ValueError("plan measures a whole run; leave fast_dev_run out")
        run["folder"], run["resume"], config["ckpt_path"] = str(self._folder), None, None
        trainer["logger"] = None  # other loggers may write outside of the folder
        if retraining is not None:  # no search has trained weights to inherit
            retraining["init_args"]["inherit"] = False
        super().before_instantiate_classes()

    def fit(
        self, model: LightningModule, datamodule: SplitData, ckpt_path: str | None = None, **_: Any
    ) -> None:
        """Measures the stages, and prints the plan."""
        with stoppable():
            run = self._get(self.config_init, "run")
            limit = self.trainer.limit_test_batches
            check_repeats(run, model, self.config["fit"], limit, ckpt_path)
            planner = Planner(
                datamodule,
                replace(self.trainers, run=replace(run, max_minutes=None)),
                self._get(self.config_init, "trainer"),
                run,
                self._get(self.config_init, "retraining"),
            )
            report(planner(model))


def main(arguments: Sequence[str]) -> None:
    """Plans `fit` with the arguments behind the verb."""
    keep_freed_memory()

    def plan() -> None:
        with work_in_folder(Path(tempfile.gettempdir()), "darts_lite-plan-") as folder:
            PlanCLI(["fit", *arguments[1:]], folder)

    guard(plan)
