"""What a run shows."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.image_data import ImageData
from darts_lite.runs.callbacks.architecture_board import ArchitectureBoard
from darts_lite.runs.callbacks.progress import PlainProgress, format_clock
from darts_lite.search.architecture_search import ArchitectureSearch


def test_plain_progress_prints_a_line_per_epoch(
    digits: ImageData, capsys: pytest.CaptureFixture[str]
) -> None:
    run = quiet_trainer(callbacks=[PlainProgress()], max_epochs=2, limit_train_batches=2)
    run.fit(ArchitectureSearch(SMALL), datamodule=digits)
    lines = [line for line in capsys.readouterr().out.splitlines() if "epoch" in line]
    assert len(lines) == 2
    assert lines[0].startswith("ArchitectureSearch epoch 1/2: weights_loss ")
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
    progress = PlainProgress(lambda: next(seconds))
    run = quiet_trainer(max_epochs=6, callbacks=[progress], **settings)
    run.fit(ArchitectureSearch(SMALL), datamodule=digits, ckpt_path=tmp_path / "x.ckpt")
    fifth, sixth = capsys.readouterr().out.splitlines()
    assert "epoch 5/6: " in fifth and fifth.endswith("0:01:00 spent, 0:01:00 left")
    assert "epoch 6/6: " in sixth and sixth.endswith("0:02:00 spent, 0:00:00 left")


def test_an_end_that_is_not_known_is_not_told(
    digits: ImageData, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ArchitectureSearch(SMALL, warmup_epochs=0)
    run = quiet_trainer(
        callbacks=[PlainProgress(), ArchitectureBoard()],
        max_epochs=-1,
        max_steps=4,
        log_every_n_steps=0,
        limit_train_batches=1,
        limit_val_batches=0,
    )
    run.fit(search, datamodule=digits)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("ArchitectureSearch epoch 1: ") and line.endswith("0:00:00 spent")


def test_clock() -> None:
    assert format_clock(59.6) == "0:01:00"
    assert format_clock(3725) == "1:02:05"
