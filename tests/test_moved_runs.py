"""Runs whose folder, images or checkpoints are elsewhere, or out of reach, before they go on.

Each ends with the tensors of a run without an interruption, and writes over nothing.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from run_helpers import QUICK, Outcome, read_outcome

from darts_lite.cli.lightning_cli import main
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary


class Run:
    """A short run that stops once, at a step of a stage."""

    def __init__(self, place: Path, data: str, stage: str) -> None:
        place.mkdir(exist_ok=True)
        self.marker, self.config = place / "stopped", place / "moved.yaml"
        stops = {"marker": str(self.marker), "stage": stage, "step": 3}
        settings: dict[str, Any] = QUICK | {
            "run": {"name": "moved", "resume": "auto", "save_every_steps": 2},
            "trainer": {
                "max_epochs": 1,
                "log_every_n_steps": 1,
                "accelerator": "cpu",
                "callbacks": [{"class_path": "training_helpers.StopsOnce", "init_args": stops}],
            },
            "retraining": {"max_epochs": 1},
            "data": {
                "root": data,
                "train_images": 500,
                "search_batches_per_epoch": 5,
                "search_batch_size": 50,
                "batch_size": 75,
                "evaluation_batch_size": 500,
            },
        }
        self.config.write_text(yaml.safe_dump(settings))

    def go(self, folder: str, *words: str) -> None:
        main(["fit", "--config", str(self.config), "--run.folder", folder, *words])

    def stop(self, folder: str) -> None:
        with pytest.raises(SystemExit) as stopped:
            self.go(folder)
        assert stopped.value.code == 128 + 15


def result(logs: Path, sessions: int = 1) -> Outcome:
    """All that an interruption must not change, whatever the order of TensorBoard's files."""
    (directory,) = (logs / "moved").iterdir()
    summary = read_summary(RunFolder(directory))
    assert summary["finished"] and len(summary["sessions"]) == sessions
    figures, tensors, scalars = read_outcome(directory)
    return Outcome(figures, tensors, {tag: sorted(values) for tag, values in scalars.items()})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, digits_root: str) -> Any:
    """The result of a run that is not interrupted."""
    place = tmp_path_factory.mktemp("whole")
    run = Run(place, digits_root, "Retraining")
    run.marker.touch()
    run.go(str(place / "logs"))
    return result(place / "logs")


def assert_same(logs: Path, whole: Any) -> None:
    figures, tensors, scalars = result(logs)
    assert figures == whole[0]
    assert tensors.keys() == whole[1].keys()
    assert all(torch.equal(value, whole[1][name]) for name, value in tensors.items())
    assert scalars == whole[2]


def test_a_run_of_moved_images_goes_on(
    whole: Any, digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, str(tmp_path / "before"), "ArchitectureSearch")
    shutil.copytree(digits_root, tmp_path / "before")
    run.stop(str(tmp_path / "logs"))
    (tmp_path / "before").rename(tmp_path / "after")
    run.go(str(tmp_path / "logs"), "--data.root", str(tmp_path / "after"))
    assert_same(tmp_path / "logs", whole)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["$SCRATCH/runs", "~/runs"])
def test_a_folder_is_the_same_each_time(
    folder: str, whole: Any, digits_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "SCRATCH"):
        monkeypatch.setenv(name, str(tmp_path / "mine"))
    run = Run(tmp_path, digits_root, "Retraining" if "$" in folder else "ArchitectureSearch")
    run.stop(folder)
    run.go(folder)
    assert_same(tmp_path / "mine" / "runs", whole)
    assert {entry.name for entry in tmp_path.iterdir()} == {"mine", "stopped", "moved.yaml"}
    config = tmp_path / "mine" / "runs" / "moved" / "version_0" / "config.yaml"
    assert yaml.safe_load(config.read_text())["run"]["folder"] == folder


@pytest.mark.slow
def test_another_number_of_threads_is_told(
    digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, threads = Run(tmp_path, digits_root, "Retraining"), torch.get_num_threads()
    run.stop(str(tmp_path / "logs"))
    torch.set_num_threads(threads + 1)
    try:
        run.go(str(tmp_path / "logs"))
    finally:
        torch.set_num_threads(threads)
    said = f"(device: cpu, {threads} threads then, cpu, {threads + 1} threads now), so its end may"
    assert said in capsys.readouterr().out
    result(tmp_path / "logs", sessions=2)
    summary = read_summary(RunFolder(next(tmp_path.glob("logs/*/version_0"))))
    assert summary["device"] == f"cpu, {threads + 1} threads"  # which tested the net


def test_checkpoints_out_of_reach_are_waited_for_and_may_be_moved(
    whole: Any, digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, digits_root, "Retraining")
    run.stop(str(tmp_path / "logs"))
    directory = tmp_path / "logs" / "moved" / "version_0"
    names = ("checkpoints/retraining-last.ckpt", "architecture.json", "config.yaml", "summary.json")
    for name in names:
        path = directory / name
        path.rename(tmp_path / "away")
        path.symlink_to(path.name)  # which no one can open, not even root
        before = {
            file: file.read_bytes()
            for file in directory.rglob("*")
            if file.is_file() and file.name != ".lock"
        }
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run.go(str(tmp_path / "logs"))
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("error: cannot read ") and error.count("\n") == 1
        assert str(path) in error and "Too many levels" in error
        assert {file: file.read_bytes() for file in before} == before
        assert path.is_symlink() and len(os.listdir(directory.parent)) == 1
        path.unlink()
        (tmp_path / "away").rename(path)
    (tmp_path / "logs").rename(tmp_path / "elsewhere")
    run.go(str(tmp_path / "elsewhere"))
    assert_same(tmp_path / "elsewhere", whole)
    assert not (tmp_path / "logs").exists()
