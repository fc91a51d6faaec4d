"""Signals save and stop a run, and are handled afterwards as before."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, seed_everything
from lightning.pytorch.callbacks import Callback
from run_helpers import SMALL, fast_sgd, quiet_trainer

from darts_lite.data.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.eigenvalue_monitor import EigenvalueMonitor
from darts_lite.search.callbacks.operation_freezing import OperationFreezing
from darts_lite.search.relaxations import Concrete
from darts_lite.training.checkpointing import AtomicCheckpointIO, StageCheckpoint
from darts_lite.training.signals import SIGNALS, Stopped


class At(Callback):
    """Does something after a number of steps."""

    def __init__(self, step: int, what: Any) -> None:
        self.step, self.what, self.count = step, what, 0

    def on_train_batch_start(self, *_: Any) -> None:
        self.count += 1
        if self.count == self.step:
            self.what()


def search() -> ArchitectureSearch:
    return ArchitectureSearch(
        SMALL,
        relaxation=Concrete(),
        weights_optimizer=fast_sgd,
        partial_channels=2,
        edge_weights=True,
        auxiliary_skip=1.0,
    )


def retraining() -> Retraining:
    torch.manual_seed(1)
    found = ArchitectureSearch(SMALL).derive()
    return Retraining(found, drop_path=0.3, ema_decay=0.9, schedule="one_cycle")


def trained(
    make: Any, root: str, path: Path, interrupt: Callback | None, settings: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """State after a training, from the checkpoint if there is one."""
    seed_everything(3, verbose=False)
    model: LightningModule = make()
    data = ImageData(root=root, search_batch_size=200, batch_size=200)
    guards: list[Callback] = [OperationFreezing(0.9, 2, 1), EigenvalueMonitor(1e9, 1, 2)]
    guards = guards if isinstance(model, ArchitectureSearch) else []
    saving = StageCheckpoint(path, every_steps=2)
    own = [saving] if interrupt is None else [saving, interrupt]
    plugins = [AtomicCheckpointIO(), *settings.pop("plugins", [])]
    callbacks = [*guards, *own]
    run = quiet_trainer(
        max_epochs=3, callbacks=callbacks, plugins=plugins, enable_checkpointing=True, **settings
    )
    start = path if path.exists() else None
    run.fit(model, datamodule=data, ckpt_path=start, weights_only=True)
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_signals_are_afterwards_handled_as_before(digits: ImageData, tmp_path: Path) -> None:
    numbers = [getattr(signal, name) for name in SIGNALS]
    before = [signal.getsignal(number) for number in numbers]
    callbacks = [StageCheckpoint(tmp_path / "x.ckpt")]
    short: dict[str, Any] = {"max_steps": 1, "limit_val_batches": 0, "enable_checkpointing": True}
    quiet_trainer(callbacks=callbacks, **short).fit(search(), datamodule=digits)
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_saves_and_stops(
    name: str, digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = trained(retraining, digits_root, tmp_path / "a.ckpt", None, {})
    asked = At(7, lambda: signal.raise_signal(getattr(signal, name)))
    with pytest.raises(Stopped) as stopped:
        trained(retraining, digits_root, tmp_path / "b.ckpt", asked, {})
    assert stopped.value.code == 128 + getattr(signal, name)
    assert f"Stopped by {name} after step 7: {tmp_path / 'b.ckpt'}" in capsys.readouterr().out
    handler = signal.getsignal(getattr(signal, name))
    assert not isinstance(getattr(handler, "__self__", None), StageCheckpoint)
    again = trained(retraining, digits_root, tmp_path / "b.ckpt", None, {})
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


def test_a_second_interrupt_does_not_wait(digits_root: str, tmp_path: Path) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises((KeyboardInterrupt, SystemExit)) as stopped:
        trained(retraining, digits_root, tmp_path / "b.ckpt", At(3, twice), {})
    assert not isinstance(stopped.value, Stopped)
