"""Shows the progress of a run in the console."""

import time
from collections.abc import Callable

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar

from darts_lite.runs.callbacks.epoch_means import collect_metrics


class ProgressBar(RichProgressBar):
    """A bar with loss, accuracy and time left, without the tags' prefixes."""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Returns the logged values of the bar, by the last part of their tag."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name.split("/")[-1]: value for name, value in metrics.items() if name != "v_num"}


class PlainProgress(Callback):
    """Prints a line per epoch, for output that is not a terminal."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._start, self._before = 0.0, 0  # time and epoch at the start

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start, self._before = self.now(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints loss, accuracy and the time left."""
        done = trainer.current_epoch + 1
        spent = self.now() - self._start
        metrics = collect_metrics(trainer)
        shown = {name: metrics[name] for name in trainer.progress_bar_metrics if name in metrics}
        values = ", ".join(f"{name.split('/')[-1]} {value:.4f}" for name, value in shown.items())
        of, left = "", ""
        if (total := trainer.max_epochs) not in (None, -1):
            of = f"/{total}"
            seconds = spent / (done - self._before) * max(0, total - done)
            left = f", {format_clock(seconds)} left"
        stage = type(pl_module).__name__
        print(f"{stage} epoch {done}{of}: {values}, {format_clock(spent)} spent{left}", flush=True)


def format_clock(seconds: float) -> str:
    """Writes seconds as ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
