"""Signals save and stop a run, and are handled afterwards as before."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from run_helpers import QUICK, quiet_trainer
from training_helpers import At, retraining, search, trained

from darts_lite.cli.lightning_cli import main
from darts_lite.data.images.image_data import ImageData
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary
from darts_lite.training.checkpointing import StageCheckpoint
from darts_lite.training.signals import SIGNALS, Stopped, delay_interrupt, stoppable


def test_signals_are_afterwards_handled_as_before(digits: ImageData, tmp_path: Path) -> None:
    numbers = [getattr(signal, name) for name in SIGNALS]
    before = [signal.getsignal(number) for number in numbers]
    saving = StageCheckpoint(tmp_path / "x.ckpt")
    short: dict[str, Any] = {"max_steps": 1, "limit_val_batches": 0, "enable_checkpointing": True}
    quiet_trainer(callbacks=[saving], **short).fit(search(), datamodule=digits)
    saving.pass_on()
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """SIGHUP is not ignored, as where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def whole(digits_root: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The end of a training that nothing stops."""
    return trained(retraining, digits_root, tmp_path_factory.mktemp("whole") / "a.ckpt", None, {})


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_saves_and_stops(
    name: str,
    whole: dict[str, torch.Tensor],
    digits_root: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = At(7, lambda: signal.raise_signal(getattr(signal, name)))
    with pytest.raises(Stopped) as stopped:
        trained(retraining, digits_root, tmp_path / "b.ckpt", asked, {})
    assert stopped.value.code == 128 + getattr(signal, name)
    assert f"Stopped by {name} after step 7: {tmp_path / 'b.ckpt'}" in capsys.readouterr().out
    handler = signal.getsignal(getattr(signal, name))
    assert not isinstance(getattr(handler, "__self__", None), StageCheckpoint)
    again = trained(retraining, digits_root, tmp_path / "b.ckpt", None, {})
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


class Late(Callback):
    """Asks a run to stop when its search has made its last step."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if isinstance(pl_module, ArchitectureSearch):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_after_the_last_step_waits_for_the_results(
    digits_root: str, tmp_path: Path
) -> None:
    config = QUICK | {"run": {"name": "quick", "folder": str(tmp_path)}}
    late = [{"class_path": "test_signals.Late"}]
    config["trainer"] = QUICK["trainer"] | {"max_epochs": 1, "callbacks": late}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", "--config", str(tmp_path / "quick.yaml"), f"--data.root={digits_root}"]
    with pytest.raises(Stopped) as stopped:
        main(words)
    folder = RunFolder(tmp_path / "quick" / "version_0")
    assert stopped.value.code == 130
    assert read_summary(folder)["stages"] == ["search"] and folder.architecture.exists()
    searched = read_summary(folder)["search_seconds"]
    main([*words, "--run.resume=auto"])
    assert read_summary(folder)["finished"]
    assert read_summary(folder)["search_seconds"] == searched


def test_a_second_interrupt_does_not_wait(
    digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped) as stopped:
        trained(retraining, digits_root, tmp_path / "b.ckpt", At(4, twice), {})
    assert stopped.value.code == 130
    said = "Stopped by SIGINT within a step; checkpoints before it are kept\n"
    assert capsys.readouterr().out.endswith(said)
    assert torch.load(tmp_path / "b.ckpt", weights_only=True)["global_step"] == 2


def test_an_ignored_hangup_stays_ignored(digits_root: str, tmp_path: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    asked = At(3, lambda: signal.raise_signal(signal.SIGHUP))
    with stoppable():
        trained(retraining, digits_root, tmp_path / "b.ckpt", asked, {})
    assert asked.count > 3 and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_output_that_nobody_reads_goes_nowhere() -> None:
    ends = os.pipe(), os.pipe()
    code = (
        "import os, sys; from darts_lite.training.signals import drop_unread_output, stop_now\n"
        "sys.stdin.readline(); drop_unread_output(); print('lost', flush=True)\n"
        "print('told', file=sys.stderr, flush=True); stop_now('SIGHUP', '')"
    )
    (reading, writing), (told, telling) = ends
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=writing, stderr=telling
    )
    for end in (reading, writing, telling):
        os.close(end)
    process.communicate(b"go\n")
    assert process.returncode == 128 + signal.SIGHUP
    with os.fdopen(told) as told_file:
        assert told_file.read() == "told\n"


@pytest.mark.slow
def test_a_closed_terminal_stops_a_run_with_its_checkpoint(
    digits_root: str, tmp_path: Path
) -> None:
    config = QUICK | {"run": {"name": "quick", "folder": str(tmp_path), "save_every_steps": 1}}
    config["trainer"] = QUICK["trainer"] | {"max_epochs": 100}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", "--config", str(tmp_path / "quick.yaml"), "--data.root", digits_root]
    newest = tmp_path / "quick" / "version_0" / "checkpoints" / "last.ckpt"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "darts_lite", *words])
    while not newest.exists():
        select.select([terminal], [], [], 0.1)
        with suppress(BlockingIOError):
            os.read(terminal, 10_000)
    os.close(terminal)  # its session gets SIGHUP, and its output is an error from now on
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert Checkpoint.read(newest).content["global_step"] > 0
    assert not list(newest.parent.glob(".*.part"))


@pytest.mark.slow
def test_two_interrupts_end_a_run_with_one_status(digits_root: str, tmp_path: Path) -> None:
    config = QUICK | {"run": {"name": "quick", "folder": str(tmp_path)}}
    config["trainer"] = QUICK["trainer"] | {"max_epochs": 100}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", "--config", str(tmp_path / "quick.yaml"), "--data.root", digits_root]
    command = [sys.executable, "-m", "darts_lite", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            if "epoch 1/" in line or line.startswith("Stopped by SIGINT"):
                run.send_signal(signal.SIGINT)
    assert run.returncode == 128 + signal.SIGINT


def test_an_interrupt_waits_for_the_end_of_a_block() -> None:
    done = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        with pytest.raises(KeyboardInterrupt), delay_interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            done.append("whole")
        with delay_interrupt():
            pass  # without one, nothing is raised
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["whole"]
