"""Runs on a disk that really becomes full, or on which nothing can be written."""

import os
import re
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
import yaml
from disks import fill, small_disk
from run_helpers import Outcome, read_outcome

from darts_lite.cli.lightning_cli import main
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import Halted, RunRecord, read_summary
from darts_lite.training.checkpointing import AtomicCheckpointIO, rotate


def arguments(folder: Path, data: str, stage: str, step: int, leave: int) -> list[str]:
    """A short run with a checkpoint every 3 steps, whose disk is filled at a step of a stage."""
    filler = {"disk": str(folder), "stage": stage, "step": step, "leave": leave}
    candidates = ["none", "skip_connect", "max_pool_3x3", "conv_3x3"]
    skeleton = {"channels": 4, "cells": 2, "reductions": [1], "stem": "conv3x3_stride2"}
    space = {"candidates": candidates, "nodes": 2, **skeleton}
    config = {
        "seed_everything": 5,
        "run": {"name": "full", "folder": str(folder), "resume": "auto", "save_every_steps": 3},
        "trainer": {
            "max_epochs": 2,
            "accelerator": "cpu",
            "log_every_n_steps": 1,
            "callbacks": [{"class_path": "disks.Fills", "init_args": filler}],
        },
        "model": {
            "class_path": "darts_lite.ArchitectureSearch",
            "init_args": {
                "space": {"class_path": "darts_lite.SearchSpace", "init_args": space},
                "relaxation": {"class_path": "darts_lite.Concrete"},
            },
        },
        "retraining": {"max_epochs": 2, "ema_decay": 0.9, "drop_path": 0.1},
        "data": {"root": data, "train_images": 1000, "search_batch_size": 50, "batch_size": 100},
    }
    return ["fit", f"--config={yaml.safe_dump(config)}"]


def result(folder: Path) -> Outcome:
    """All that a full disk in between must not change."""
    return read_outcome(folder / "full" / "version_0")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, digits_root: str) -> Any:
    """The result of the run without a full disk."""
    folder = tmp_path_factory.mktemp("whole")
    main(arguments(folder, digits_root, "ArchitectureSearch", -1, 0))
    return result(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "step", "leave", "failed", "left"),
    [
        ("ArchitectureSearch", 4, 2**16, r"last\.ckpt \(No space", "last.ckpt"),
        ("ArchitectureSearch", 16, 2**15, r"No space", "last.ckpt"),  # its drawings
        ("Retraining", 14, 0, r"No space", "retraining-last.ckpt"),  # its losses
        ("Retraining", 17, 2**12, r"net\.ckpt \(No space", "retraining-last.ckpt"),
    ],
)
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    stage: str,
    step: int,
    leave: int,
    failed: str,
    left: str,
    whole: Any,
    digits_root: str,
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path, "4m") as disk:
        given = arguments(disk.path, digits_root, stage, step, leave)
        log, errors = tmp_path / "log", tmp_path / "errors"
        process = forked.start(main, given, log, errors=errors)
        process.join()
        said = errors.read_text()
        assert process.exitcode == 2, said
        assert said.startswith("error: ") and said.count("\n") == 1, said
        newest = disk.path / "full" / "version_0" / "checkpoints" / left
        assert re.search(rf"{failed}.*; once fixed, --run.resume auto goes on from ", said)
        assert re.search(rf"{newest}(, which is intact$|; once fixed)", said), said
        assert Checkpoint.read(newest).content["global_step"] in (step - step % 3, step + 1)
        assert not list(disk.path.glob("**/.*.part"))
        (disk.path / "filler").write_bytes(b"")
        main(given)
        (directory,) = (disk.path / "full").iterdir()
        figures, tensors, scalars = result(disk.path)
        assert read_summary(RunFolder(directory))["finished"]
        assert figures == whole[0]
        assert tensors.keys() == whole[1].keys()
        assert all(torch.equal(value, whole[1][name]) for name, value in tensors.items())
        for tag in sorted(scalars.keys() | whole[2].keys()):
            assert scalars.get(tag) == whole[2].get(tag), tag


def test_a_full_disk_leaves_the_file_before(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        path, files = disk.path / "last.ckpt", AtomicCheckpointIO()
        files.save_checkpoint({"step": 1}, path)
        fill(disk.path, leave=2**16)
        with pytest.raises(
            OSError, match=r"No space left.*; the one before is intact: .*last.ckpt"
        ):
            files.save_checkpoint({"step": 2, "much": torch.rand(2**16)}, path)
        assert files.load_checkpoint(path) == {"step": 1}
        assert {one.name for one in disk.path.iterdir()} == {"last.ckpt", "filler"}


def test_a_summary_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        folder = RunFolder(disk.path)
        record = RunRecord(folder)
        record.begin({"seed": 1})
        before = read_summary(folder)
        fill(disk.path)
        with pytest.raises(Halted, match=r"summary.json \(No space.*from the start, as nothing is"):
            record.stage("search", lambda: {"alphas": 40})
        assert read_summary(folder) == before


def test_where_no_link_can_be_made_the_one_before_is_still_kept(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m", files=3) as disk:  # the folder itself, and two more
        path = disk.path / "last.ckpt"
        path.write_text("a")
        (disk.path / "other").write_text("")
        with pytest.raises(OSError, match="No space"):
            os.link(path, disk.path / "link")
        rotate(path, 2)
        assert {one.name for one in disk.path.iterdir()} == {"last-1.ckpt", "other"}
        assert path.with_stem("last-1").read_text() == "a"


def assert_refused(folder: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = arguments(folder / "logs", data, "ArchitectureSearch", -1, 0)
    for more in ([], ["--run.resume=null"]):
        with pytest.raises(SystemExit) as stopped:
            main([*given, *more])
        assert stopped.value.code == 2
        out, error = capsys.readouterr()
        assert error == (
            f"error: cannot write to {folder}; make it writable, or set run.folder to another\n"
        )
        assert "Data:" not in out  # nothing was begun


def test_a_read_only_disk_is_told_before_anything_is_computed(
    digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path, "1m") as disk:
        (disk.path / "summary.json").write_text("{}")
        disk.remount("ro")
        assert_refused(disk.path, digits_root, capsys)
        with pytest.raises(OSError, match=r"cannot write .*\(Read-only file system\)"):
            RunRecord(RunFolder(disk.path)).begin({})


def test_a_read_only_folder_is_told_before_anything_is_computed(
    digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o555)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("root may write to any folder")
    assert_refused(tmp_path, digits_root, capsys)
    tmp_path.chmod(0o755)


def test_a_disk_without_any_room_stops_a_run_before_its_first_step(
    digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path, "1m") as disk:
        fill(disk.path)
        with pytest.raises(SystemExit) as stopped:
            main(arguments(disk.path, digits_root, "ArchitectureSearch", -1, 0))
        assert stopped.value.code == 2
        error = capsys.readouterr().err
        assert "config.yaml (No space left on device)" in error and error.count("\n") == 1
