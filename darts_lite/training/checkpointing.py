"""Checkpoints from which a stage goes on exactly as if it had never stopped."""

import io
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger

from darts_lite.distributed.random_state import read_random_states, restore_random_states
from darts_lite.storage.atomic_files import write_whole
from darts_lite.storage.event_files import measure_events
from darts_lite.training.nonfinite import check_finite
from darts_lite.training.signals import (
    SIGNALS,
    Stopped,
    drop_unread_output,
    handle_signals,
    stop_now,
)

STATE_KEY = "Saving"  # key of `StageCheckpoint`'s state: the class's name in earlier versions


class AtomicCheckpointIO(CheckpointIO):
    """Writes checkpoints atomically: a kill or a full disk leaves the one before intact."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Writes the file, or raises OSError with a line that says which file is still intact."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with write_whole(path) as file:
            file.write(content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Loads tensors and plain values; nothing in the file is executed."""
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


class StageCheckpoint(Checkpoint):
    """Saves everything that decides how a stage goes on.

    It saves after every epoch, at intervals in between, and when a signal asks the run to stop,
    which it then does. Besides Lightning's own state it saves all random states, the metrics logged
    last and the seconds spent. It does not save the end of training, since what happens then, such
    as averaging weights, has not happened yet; see `end`.

    Args:
        path: Newest of the ``keep`` checkpoints; earlier ones have ``-1``, ... before the suffix.
        every_steps: Steps between two checkpoints; None saves after epochs only.
        every_minutes: Minutes between two checkpoints, likewise.
        at_start: Whether to save before the first step too.

    Attributes:
        metrics: The values logged last, by name, including those before an interruption.
        results: The stage's results once it has ended; a resumed run then skips the stage.
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
        self._events: dict[str, int] = {}  # what TensorBoard had written
        self._steps = 0  # steps since the last checkpoint
        self.results: Mapping[str, Any] | None = None
        self._restored: dict[str, Any] | None = None
        self._signal: str | None = None
        self._saved_for: str | None = None  # the signal that a checkpoint was written for
        self._handlers: dict[str, Any] = {}

    @property
    def state_key(self) -> str:
        return STATE_KEY

    @property
    def seconds(self) -> float:
        """Seconds of training, including those before an interruption."""
        return self._seconds + time.monotonic() - self._begun

    def state_dict(self) -> dict[str, Any]:
        return {
            "random": read_random_states(),
            "batches": self._batches,
            "seconds": self.seconds,
            "events": self._events,
            "metrics": self.metrics,
            "results": self.results and dict(self.results),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state of `state_dict`; random states are restored when training starts."""
        restore_random_states(state_dict["random"])  # a damaged state raises here, not later
        self._restored = state_dict
        self._seconds, self.metrics = state_dict["seconds"], dict(state_dict["metrics"])

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Converts weights to 64 bits; Lightning would do so only after reading the checkpoint."""
        if trainer.precision == "64-true":
            pl_module.double()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Installs signal handlers, and restores the next batch and the random states.

        Lightning itself loses the number of batches given out if a model has asked for the number
        of steps before.
        """
        self._begun = self._saved = time.monotonic()
        # Not earlier: Lightning puts the handlers back that it found before this.
        self._handlers = handle_signals(self._note_signal)
        if self._restored is not None:
            if (batches := find_resumable_batches(trainer)) is not None:
                batches.load_state_dict(self._restored["batches"])
            restore_random_states(self._restored["random"])
            self._restored = None
        elif self.at_start and find_resumable_batches(trainer) is not None:
            self.save(trainer)

    def on_train_batch_start(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Stops if a signal has asked for it; now the step before is logged too."""
        if (name := self._saved_for) is not None:
            self._saved_for = None
            drop_unread_output()
            print(f"Stopped by {name} after step {trainer.global_step}: {self.path}", flush=True)
            # With several processes, the exit status of the first one counts for all.
            raise Stopped(name) if trainer.is_global_zero else SystemExit(0)

    def on_train_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Saves if it is due, but not before the validation that ends an epoch."""
        if trainer.is_last_batch or trainer.should_stop or find_resumable_batches(trainer) is None:
            return
        minutes = (time.monotonic() - self._saved) / 60
        self._steps += 1
        due = self.every_steps is not None and self._steps >= self.every_steps
        due |= self.every_minutes is not None and minutes >= self.every_minutes
        self._save_if_asked(trainer, due)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves after every epoch but the last."""
        epochs, steps = trainer.max_epochs, trainer.max_steps
        ends = epochs is not None and 0 <= epochs <= trainer.current_epoch + 1
        if not (ends or trainer.should_stop or 0 <= steps <= trainer.global_step):
            self._save_if_asked(trainer, True)

    def _save_if_asked(self, trainer: Trainer, due: bool) -> None:
        """Saves if it is due, or a signal came, on any rank; clocks and signals may differ."""
        asked = 0 if self._signal is None else 1 + SIGNALS.index(self._signal)
        if trainer.world_size > 1:
            wishes = torch.tensor([due, asked], device=trainer.strategy.root_device)
            due, asked = trainer.strategy.reduce(wishes, reduce_op="max").tolist()
        if due or asked:
            self.save(trainer)
        if asked:
            self._saved_for, self._signal = SIGNALS[asked - 1], None

    def save(self, trainer: Trainer) -> None:
        """Saves the present state as the newest checkpoint."""
        last_good = self.path if self.path.exists() else None
        check_finite(trainer.lightning_module, trainer.global_step, last_good)
        self.metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        batches = find_resumable_batches(trainer)
        self._batches = {} if batches is None else batches.state_dict()
        self._write(trainer)
        self._saved, self._steps = time.monotonic(), 0

    def end(self, trainer: Trainer, results: Mapping[str, Any]) -> None:
        """Saves the end of the stage, with its results, as the newest checkpoint."""
        self.results = results
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.flush()
            self._events = measure_events(self.path.parent.parent)
            rotate(self.path, self.keep)
        trainer.save_checkpoint(self.path)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._signal == name == "SIGINT":  # a second Ctrl-C does not wait for the step to end
            stop_now(name, " within a step; checkpoints before it are kept")
        drop_unread_output()
        self._signal = name

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restores the handlers; `pass_on` passes on a signal that came too late for a step."""
        self._restore_handlers()

    def hold(self) -> None:
        """Lets signals wait for `pass_on`, while a training's results are written."""
        self._handlers = handle_signals(self._note_signal)

    def pass_on(self) -> None:
        """Restores the handlers, and passes on a signal that has come since the last step."""
        self._restore_handlers()
        asked, self._signal = self._signal, None
        if asked is not None:
            signal.raise_signal(getattr(signal, asked))

    def on_exception(self, *_: Any, **__: Any) -> None:
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for name, handler in self._handlers.items():
            number = getattr(signal, name)
            if signal.getsignal(number) == self._note_signal:  # else Lightning has restored it
                signal.signal(number, handler)
        self._handlers.clear()


def find_resumable_batches(trainer: Trainer) -> Any:
    """Returns the training batches; None if they cannot go on within an epoch, only after it."""
    loader = trainer.train_dataloader
    return loader if hasattr(loader, "load_state_dict") else None


def read_saved_state(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the state of `StageCheckpoint` in a checkpoint; empty if there is none."""
    state = checkpoint.get("callbacks", {}).get(STATE_KEY)
    return dict(state) if isinstance(state, Mapping) else {}


def rotate(path: Path, keep: int) -> None:
    """Renames the checkpoints before the next one is written; the oldest is replaced."""
    numbered = [path, *(path.with_stem(f"{path.stem}-{n}") for n in range(1, keep))]
    pairs = list(zip(numbered, numbered[1:], strict=False))
    if any(newer.exists() and older.exists() and newer.samefile(older) for newer, older in pairs):
        return  # done already: the run was killed before it wrote the next checkpoint
    for newer, older in reversed(pairs):
        if newer.exists():
            # A link, so that the newest keeps its name too until the next one replaces it.
            beside = older.with_name(f".{older.name}.part")
            beside.unlink(missing_ok=True)
            try:
                os.link(newer, beside)
            except OSError:  # no links, as on exFAT: until the next one, -1 is the newest
                os.replace(newer, older)
            else:
                os.replace(beside, older)
