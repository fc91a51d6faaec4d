"""Signals save and stop a run, and are handled afterwards as before."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import quiet_trainer
from training_helpers import At, retraining, search, trained

from darts_lite.data.image_data import ImageData
from darts_lite.training.checkpointing import StageCheckpoint
from darts_lite.training.signals import SIGNALS, Stopped


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
