"""Checkpoints from which a stage goes on exactly as if nothing had happened."""

import io
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from darts_lite.distributed.random_state import random_states, restore_random_states
from darts_lite.storage.atomic_files import written_whole
from darts_lite.training.nonfinite import check_finite
from darts_lite.training.signals import SIGNALS, Stopped


class WholeFiles(CheckpointIO):
    """Writes checkpoints whole: a kill or a full disk leaves the one before intact."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Writes the file.

        Raises:
            OSError: if it cannot be written, in one line that says what is still there.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with written_whole(path) as file:
            file.write(content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Tensors and plain values; nothing in the file is executed."""
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Deletes the file, if it is there."""
        Path(path).unlink(missing_ok=True)


class Saving(Checkpoint):
    """Saves everything that decides how a stage goes on.

    After every epoch, at intervals in between, and when a signal asks the run to stop, which it
    then does. Beside what Lightning keeps that is all states of random numbers, the metrics logged
    last and the seconds spent. The end of training is not saved here: what is to happen then, as
    the averaging of weights, has not happened yet; see `end`.

    Args:
        path: Of the newest checkpoint; the ones before have ``-1``, ``-2``, ... before the suffix.
        every_steps: Steps between two checkpoints; None for none.
        every_minutes: Minutes between two checkpoints; None for none.
        keep: How many to keep.
        at_start: Whether to save before the first step as well.

    Attributes:
        metrics: What was logged last, by name, before an interruption as well.
        results: Of the stage, once it has ended; whoever resumes then need not run it again.
    """

    def __init__(
        self,
        path: Path,
        every_steps: int | None = None,
        every_minutes: float | None = None,
        keep: int = 1,
        at_start: bool = False,
    ) -> None:
        self.path, self.keep, self.at_start = path, keep, at_start
        self.every_steps, self.every_minutes = every_steps, every_minutes
        self.metrics: dict[str, float] = {}
        self._seconds, self._begun, self._saved = 0.0, time.monotonic(), time.monotonic()
        self._batches: dict[str, Any] = {}
        self._steps = 0  # since the last checkpoint
        self.results: Mapping[str, Any] | None = None
        self._restored: dict[str, Any] | None = None
        self._signal: str | None = None
        self._saved_for: str | None = None  # the signal
        self._handlers: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self._seconds + time.monotonic() - self._begun

    # ------------------------------------------------------------------ what is kept

    def state_dict(self) -> dict[str, Any]:
        """See `darts_lite.training.checkpointing.Saving`, as plain values and tensors."""
        return {
            "random": random_states(),
            "batches": self._batches,
            "seconds": self.seconds,
            "time": time.time(),
            "metrics": self.metrics,
            "results": self.results and dict(self.results),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave; random numbers go on when the training starts."""
        restore_random_states(state_dict["random"])  # a wrong one is refused here
        self._restored = state_dict
        self._seconds, self.metrics = state_dict["seconds"], dict(state_dict["metrics"])

    # ------------------------------------------------------------------ when

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes room for 64 bits, which Lightning would do after it has read the checkpoint."""
        if trainer.precision == "64-true":
            pl_module.double()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to signals, and goes on with the next batch and the random numbers.

        Lightning itself forgets how many batches were given out where a model has asked for the
        number of steps before.
        """
        self._begun = self._saved = time.monotonic()
        # Only now: Lightning puts the handlers back that it found before this.
        for name in SIGNALS:
            if hasattr(signal, name) and current_thread() is main_thread():
                self._handlers[name] = signal.signal(getattr(signal, name), self._ask)
        if self._restored is not None:
            if (batches := stateful(trainer)) is not None:
                batches.load_state_dict(self._restored["batches"])
            restore_random_states(self._restored["random"])
            self._restored = None
        elif self.at_start and stateful(trainer) is not None:
            self._save(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stops where a signal has asked for it, once the step before is logged as well."""
        if (name := self._saved_for) is not None:
            self._saved_for = None
            print(f"Stopped by {name} after step {trainer.global_step}: {self.path}", flush=True)
            # Of several processes the first one tells how all of them ended.
            raise Stopped(name) if trainer.is_global_zero else SystemExit(0)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Saves where it is due, but not before the validation that ends an epoch."""
        if trainer.is_last_batch or trainer.should_stop or stateful(trainer) is None:
            return
        minutes = (time.monotonic() - self._saved) / 60
        self._steps += 1
        due = self.every_steps is not None and self._steps >= self.every_steps
        due |= self.every_minutes is not None and minutes >= self.every_minutes
        self._agree(trainer, due)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves after every epoch but the last."""
        epochs, steps = trainer.max_epochs, trainer.max_steps
        ends = epochs is not None and 0 <= epochs <= trainer.current_epoch + 1
        if not (ends or trainer.should_stop or 0 <= steps <= trainer.global_step):
            self._agree(trainer, True)

    def _agree(self, trainer: Trainer, due: bool) -> None:
        """Saves if it is due for one of the processes, whose clocks and signals may differ."""
        asked = 0 if self._signal is None else 1 + SIGNALS.index(self._signal)
        if trainer.world_size > 1:
            wishes = torch.tensor([due, asked], device=trainer.strategy.root_device)
            due, asked = trainer.strategy.reduce(wishes, reduce_op="max").tolist()
        if due or asked:
            self._save(trainer)
        if asked:
            self._saved_for, self._signal = SIGNALS[asked - 1], None

    def _save(self, trainer: Trainer) -> None:
        good = self.path if self.path.exists() else None
        check_finite(trainer.lightning_module, trainer.global_step, good)
        self.metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        batches = stateful(trainer)
        self._batches = {} if batches is None else batches.state_dict()
        if trainer.is_global_zero:
            keep_before(self.path, self.keep)
        trainer.save_checkpoint(self.path)
        self._saved, self._steps = time.monotonic(), 0

    def end(self, trainer: Trainer, results: Mapping[str, Any]) -> None:
        """Saves the end of the stage, with its results, as the newest checkpoint."""
        self.results = results
        if trainer.is_global_zero:
            keep_before(self.path, self.keep)
        trainer.save_checkpoint(self.path)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._signal == name == "SIGINT":
            raise KeyboardInterrupt  # who asks twice does not want to wait for the step to end
        self._signal = name

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listens no longer, and passes on what it did not get to."""
        self._listen_no_longer()
        asked, self._signal = self._signal, None
        if asked is not None:
            signal.raise_signal(getattr(signal, asked))

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Listens no longer."""
        self._listen_no_longer()

    def _listen_no_longer(self) -> None:
        for name, handler in self._handlers.items():
            number = getattr(signal, name)
            if signal.getsignal(number) == self._ask:  # else Lightning has put back what was before
                signal.signal(number, handler)
        self._handlers.clear()


def stateful(trainer: Trainer) -> Any:
    """The training batches if they can go on in the middle of an epoch; else None.

    Only whole epochs are saved then.
    """
    loader = trainer.train_dataloader
    return loader if hasattr(loader, "load_state_dict") else None


def saved_state(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What `Saving` put into a checkpoint; empty where it did not."""
    for name, state in checkpoint.get("callbacks", {}).items():
        if str(name).startswith(Saving.__name__) and isinstance(state, Mapping):
            return dict(state)
    return {}


def keep_before(path: Path, keep: int) -> None:
    """Numbers the checkpoints before the next one; the oldest gives way."""
    numbered = [path, *(path.with_stem(f"{path.stem}-{n}") for n in range(1, keep))]
    pairs = list(zip(numbered, numbered[1:], strict=False))
    if any(newer.exists() and older.exists() and newer.samefile(older) for newer, older in pairs):
        return  # a run was killed between this and the next checkpoint
    for newer, older in reversed(pairs):
        if newer.exists():
            # The newest keeps its name too until the next takes its place.
            beside = older.with_name(f".{older.name}.part")
            beside.unlink(missing_ok=True)
            try:
                os.link(newer, beside)
            except OSError:  # a file system without links, as exFAT: the next one is resumed from
                os.replace(newer, older)
            else:
                os.replace(beside, older)
