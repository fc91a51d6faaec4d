"""What a run shows."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from runs import SMALL, quiet_trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.callbacks import ArchitectureBoard, PlainProgress, clock
from darts_lite.data import ImageData
from darts_lite.search import ArchitectureSearch


def test_the_board_shows_shares_cells_and_genotype_of_every_epoch(
    digits: ImageData, tmp_path: Path
) -> None:
    logger = TensorBoardLogger(tmp_path, "board", default_hp_metric=False)
    run = quiet_trainer(
        logger=logger, callbacks=[ArchitectureBoard()], max_epochs=2, limit_train_batches=2
    )
    search = ArchitectureSearch(SMALL)
    run.fit(search, datamodule=digits)
    events = EventAccumulator(logger.log_dir, size_guidance={"tensors": 0}).Reload()
    images = events.Tags()["images"]
    assert set(images) == {
        "architecture/cells",
        "architecture/shares_normal",
        "architecture/shares_reduce",
    }
    for tag in images:
        assert [event.step for event in events.Images(tag)] == [0, 2, 4]
    texts = events.Tensors("architecture/genotype/text_summary")
    assert search.derive().genotype() in texts[-1].tensor_proto.string_val[0].decode()
    scalars = set(events.Tags()["scalars"])
    for split in ("weights", "alphas"):
        for value in ("loss", "accuracy", "learning_rate"):
            assert f"search/{split}_{value}" in scalars
    assert {"alphas/entropy", "alphas/skip_share", "alphas/median_top2_margin"} <= scalars
    steps = [event.step for event in events.Scalars("alphas/drift")]
    assert len(steps) > len(set(steps)) or len(steps) > 2  # also between validations


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
    assert clock(59.6) == "0:01:00"
    assert clock(3725) == "1:02:05"
