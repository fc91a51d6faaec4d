"""What a run shows."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import run_helpers
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.architecture_board import ArchitectureBoard
from darts_lite.runs.callbacks.epoch_means import EpochMeans
from darts_lite.runs.callbacks.progress import PlainProgress, ProgressLine, format_clock
from darts_lite.search.architecture_search import ArchitectureSearch


def test_plain_progress_prints_a_line_per_epoch(
    digits: ImageData, capsys: pytest.CaptureFixture[str]
) -> None:
    run = quiet_trainer(
        callbacks=[PlainProgress("search 1/3")], max_epochs=2, limit_train_batches=2
    )
    run.fit(ArchitectureSearch(SMALL), datamodule=digits)
    lines = [line for line in capsys.readouterr().out.splitlines() if "epoch" in line]
    assert len(lines) == 2
    assert lines[0].startswith("search 1/3, epoch 1/2: weights_loss ")
    assert "validation_accuracy" in lines[0]
    assert lines[1].endswith("0:00:00 left")


def test_the_time_left_is_that_of_the_epochs_left(
    digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"limit_train_batches": 1, "limit_val_batches": 0}
    first = quiet_trainer(max_epochs=4, **settings)
    first.fit(ArchitectureSearch(SMALL), datamodule=digits)
    first.save_checkpoint(tmp_path / "x.ckpt")
    seconds = count(0, 60)
    progress = PlainProgress("search 1/3", lambda: next(seconds))
    run = quiet_trainer(max_epochs=6, callbacks=[progress], **settings)
    run.fit(ArchitectureSearch(SMALL), datamodule=digits, ckpt_path=tmp_path / "x.ckpt")
    fifth, sixth = capsys.readouterr().out.splitlines()
    assert "epoch 5/6: " in fifth and fifth.endswith(", search: 0:01:00 spent, 0:01:00 left")
    assert "epoch 6/6: " in sixth and sixth.endswith(", search: 0:02:00 spent, 0:00:00 left")


def test_an_end_that_is_not_known_is_not_told(
    digits: ImageData, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ArchitectureSearch(SMALL, warmup_epochs=0)
    run = quiet_trainer(
        callbacks=[PlainProgress("search 1/1"), ArchitectureBoard()],
        max_epochs=-1,
        max_steps=4,
        log_every_n_steps=0,
        limit_train_batches=1,
        limit_val_batches=0,
    )
    run.fit(search, datamodule=digits)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("search 1/1, epoch 1: ") and line.endswith(", search: 0:00:00 spent")


def test_clock() -> None:
    assert format_clock(59.6) == "0:01:00"
    assert format_clock(3725) == "1:02:05"


@pytest.mark.slow
def test_a_terminal_shows_one_line_of_at_most_80_columns(tmp_path: Path) -> None:
    """A real terminal of 120 columns: what it shows at last holds stage, epoch and accuracy."""
    program = (
        "from run_helpers import SMALL, quiet_trainer\n"
        "from darts_lite import ArchitectureSearch, ImageData\n"
        "from darts_lite.runs.callbacks.progress import ProgressLine\n"
        "run = quiet_trainer(callbacks=[ProgressLine('search 1/3')], max_epochs=3)\n"
        "data = ImageData(search_batches_per_epoch=8, search_batch_size=16, train_images=500)\n"
        "run.fit(ArchitectureSearch(SMALL), datamodule=data)\n"
    )
    owner, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    tests = str(Path(run_helpers.__file__).parent)
    place = {"PYTHONPATH": os.pathsep.join([tests, *sys.path]), "DARTS_LITE_DATA": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdout=other,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **place, "TERM": "xterm"},
    )
    os.close(other)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal tells that its last writer is gone
        while part := os.read(owner, 4096):
            shown += part
    assert process.wait() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    lines = [line for line in re.split(r"[\r\n]+", plain) if line.startswith("search 1/3, epoch ")]
    assert lines and max(map(len, lines)) <= 80
    assert any("epoch 3/3" in line and "val acc " in line for line in lines)


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_a_terminal_shows_bar_and_time_of_the_stage(
    columns: int,
    digits: ImageData,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("darts_lite.runs.callbacks.progress.PAUSE", 0)
    run = quiet_trainer(
        callbacks=[EpochMeans(), ProgressLine("retraining 2/3")],
        max_epochs=12,
        limit_train_batches=2,
        limit_val_batches=1,
    )
    run.fit(Retraining(SMALL.first_architecture()), datamodule=digits)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().out)
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", plain) if "retraining" in line]
    last = lines[-1]
    assert max(map(len, lines)) <= min(columns, 80) and "…" not in plain
    assert re.search(r"━+ 100% ends in 0?0:00", last), last
    assert last.startswith("retraining 2/3, epoch 12/12 " if columns >= 60 else "retraining 2/3 ")
    assert bool(re.search(r"ends in 00:00 val acc \d+\.\d\d %$", last)) == (columns >= 80)
