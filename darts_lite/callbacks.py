"""What a run writes for people while it goes on."""

import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from darts_lite.epoch_means import epoch_metrics
from darts_lite.plotting import draw_architecture, draw_shares
from darts_lite.search import ArchitectureSearch


def tensorboard(trainer: Trainer) -> SummaryWriter | None:
    """The TensorBoard writer of a trainer, where it has one; the first of several processes."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            return logger.experiment
    return None


class ArchitectureBoard(Callback):
    """Shows the shares of all candidates and the derived cells in TensorBoard, every epoch.

    How decided the alphas are is logged as often as losses are, beside what validations log of it.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows where the search starts; one that goes on has shown it before."""
        if trainer.global_step == 0:
            self._show(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Logs how decided the alphas are."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        due = every > 0 and (trainer.fit_loop.total_batch_idx + 1) % every == 0
        if due and isinstance(pl_module, ArchitectureSearch):
            pl_module.log_dict({f"alphas/{k}": v for k, v in pl_module.diagnostics().items()})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows how far it has come."""
        self._show(trainer, pl_module)

    def _show(self, trainer: Trainer, search: LightningModule) -> None:
        writer = tensorboard(trainer)
        if writer is None or not isinstance(search, ArchitectureSearch):
            return
        step = trainer.global_step
        for kind, shares in search.shares().items():
            title = f"{kind} cell, step {step}"
            inputs = search.space.skeleton.inputs
            figure = draw_shares(shares.cpu(), search.space.candidates, title, inputs)
            writer.add_figure(f"architecture/shares_{kind}", figure, step)
        architecture = search.derive()
        writer.add_figure("architecture/cells", draw_architecture(architecture), step)
        writer.add_text("architecture/genotype", f"    {architecture.genotype()}", step)


class ProgressBar(RichProgressBar):
    """A bar with loss, accuracy and time left, without the tags' prefixes."""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The logged values of the bar, by the last part of their tag."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name.split("/")[-1]: value for name, value in metrics.items() if name != "v_num"}


class PlainProgress(Callback):
    """A line per epoch, for output that is no terminal.

    Args:
        now: Tells the time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._start, self._before = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._start, self._before = self.now(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints loss, accuracy and the time left."""
        done = trainer.current_epoch + 1
        spent = self.now() - self._start
        metrics = epoch_metrics(trainer)
        shown = {name: metrics[name] for name in trainer.progress_bar_metrics if name in metrics}
        values = ", ".join(f"{name.split('/')[-1]} {value:.4f}" for name, value in shown.items())
        of, left = "", ""
        if (total := trainer.max_epochs) not in (None, -1):
            of = f"/{total}"
            left = f", {clock(spent / (done - self._before) * max(0, total - done))} left"
        stage = type(pl_module).__name__
        print(f"{stage} epoch {done}{of}: {values}, {clock(spent)} spent{left}", flush=True)


def clock(seconds: float) -> str:
    """Seconds as ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
