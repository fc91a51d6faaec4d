"""Shows the progress of a run: one line that moves in a terminal, else a line per epoch."""

import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from darts_lite.runs.callbacks.epoch_means import collect_metrics

WIDTH = 80
"""Largest width of the bar's line, in characters."""
BAR = 10
"""Largest width of the bar itself."""
BESIDE = len(" 100% ends in 0:00:00")
"""Width of what follows the bar in every terminal: share, and time to the end of the stage."""
PAUSE = 0.25
"""Seconds between two readings of the metrics, each of which waits for a GPU."""
SHORT = {"validation": "val", "accuracy": "acc", "weights": "train"}
"""Words of metrics' names that have a shorter form in the bar."""


class EndColumn(TimeRemainingColumn):
    """The time to the end of the stage that the line begins with, as far as it is known."""

    def render(self, task: Task) -> Text:
        """Returns it in words, with hours only if there are any."""
        known = task.total is not None
        return Text(f"ends in {super().render(task)}" if known else "", self.style)

    style = "progress.remaining"


class ProgressLine(Callback):
    """Shows stage, epoch, share, time to its end and metrics in one line of a terminal.

    Where the line is short, stage, bar, share and time stay, and metrics go before the epoch.

    Args:
        stage: The stage's name and number, such as ``search 1/3``.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._bar: Progress | None = None
        self._task, self._told = TaskID(0), 0.0
        self._width = WIDTH

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self._width = min(WIDTH, Console(force_jupyter=False).width)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=max(1, min(BAR, self._width - len(self.stage) - 1 - BESIDE))),
            TaskProgressColumn(),
            EndColumn(compact=True),
            TextColumn("{task.fields[values]}"),
            console=Console(width=self._width, force_jupyter=False),
            transient=True,
        )
        batches = trainer.num_training_batches
        total = _count_epochs(trainer)
        self._task = self._bar.add_task(
            self._fit(trainer, {})[0],
            total=None if total is None else total * batches,
            completed=int(trainer.current_epoch * batches),
            values="",
        )
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self._bar is None or now - self._told < PAUSE:
            return
        self._told = now
        description, values = self._fit(trainer, _read_shown(trainer))
        self._bar.update(
            self._task,
            description=description,
            completed=trainer.current_epoch * trainer.num_training_batches + batch_idx + 1,
            values=values,
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _fit(self, trainer: Trainer, metrics: dict[str, float]) -> tuple[str, str]:
        """Returns stage and epoch, and the metrics, as far as the line has room for them."""
        room = self._width - len(self.stage) - 1 - BAR - BESIDE
        epoch = f", {describe_epoch(trainer)}"
        if len(epoch) > room:
            return self.stage, ""
        return self.stage + epoch, shorten_metrics(metrics, room - len(epoch) - 1)


class PlainProgress(Callback):
    """Prints a line per epoch, for output that is not a terminal.

    Args:
        stage: The stage's name and number, such as ``search 1/3``.
        now: Tells the time, in seconds.
    """

    def __init__(self, stage: str, now: Callable[[], float] = time.monotonic) -> None:
        self.stage, self.now = stage, now
        self._start, self._before = 0.0, 0  # time and epoch at the start

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start, self._before = self.now(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints loss, accuracy, and the time that the stage has taken and will take."""
        done = trainer.current_epoch + 1
        spent = self.now() - self._start
        values = ", ".join(
            f"{name} {value:.4f}".removesuffix(".0000")  # counts are whole
            for name, value in _read_shown(trainer).items()
        )
        left = ""
        if (total := _count_epochs(trainer)) is not None:
            seconds = spent / (done - self._before) * max(0, total - done)
            left = f", {format_clock(seconds)} left"
        told = f"{self.stage}, {describe_epoch(trainer)}: {values}"
        whose = self.stage.partition(" ")[0]  # other stages may follow
        print(f"{told}, {whose}: {format_clock(spent)} spent{left}", flush=True)


def describe_epoch(trainer: Trainer) -> str:
    """Returns the number of the present epoch, from 1 on, and that of all if it is known."""
    total = _count_epochs(trainer)
    return f"epoch {trainer.current_epoch + 1}" + ("" if total is None else f"/{total}")


def shorten_metrics(metrics: dict[str, float], room: int) -> str:
    """Returns metrics as short words and numbers of two decimals, accuracies in per cent.

    Validation, which is logged last and tells most, comes first; those at the end that have no
    `room`, in characters, are left out.
    """
    shown = ""
    for name, value in reversed(metrics.items()):
        words = " ".join(SHORT.get(word, word) for word in name.split("_"))
        is_share = name.endswith("accuracy")
        number = f"{100 * value:.2f} %" if is_share else f"{value:.2f}".removesuffix(".00")
        longer = f"{shown}, {words} {number}" if shown else f"{words} {number}"
        if len(longer) > room:
            break
        shown = longer
    return shown


def format_clock(seconds: float) -> str:
    """Writes seconds as ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _count_epochs(trainer: Trainer) -> int | None:
    return None if trainer.max_epochs in (None, -1) else trainer.max_epochs


def _read_shown(trainer: Trainer) -> dict[str, float]:
    """Returns the metrics that are for the console, by the last part of their tag."""
    metrics = collect_metrics(trainer)
    shown = [name for name in trainer.progress_bar_metrics if name in metrics]
    return {name.split("/")[-1]: metrics[name] for name in shown}
