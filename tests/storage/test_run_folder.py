"""The names of a run's files."""

from pathlib import Path

import pytest

from darts_lite.storage.run_folder import (
    CONTROLS,
    SEEDS,
    STAGES,
    RunFolder,
    find_last_checkpoint,
    list_checkpoints,
)


def test_runs_in_and_below_a_folder_are_found_by_their_summary(tmp_path: Path) -> None:
    version = tmp_path / "mnist" / "version_3"
    runs = [tmp_path / "b" / "version_0", version / CONTROLS / "1", version / SEEDS / "2", version]
    for path in runs:
        path.mkdir(parents=True, exist_ok=True)
        RunFolder(path).summary.write_text("{}")
    (tmp_path / "c" / "version_0").mkdir(parents=True)  # has not begun
    assert [run.path for run in RunFolder.below(tmp_path)] == runs
    assert [run.path for run in RunFolder.below(runs[0])] == [runs[0]]
    assert RunFolder.below(tmp_path / "absent") == []
    assert RunFolder(version).number == 3 and str(RunFolder(version)) == str(version)
    assert RunFolder(version).title == "mnist/version_3"


def test_no_two_files_share_a_name(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    files = [run.config, run.summary, run.architecture, run.drawing, run.agreement, run.worst]
    files += [run.net, run.weights, *map(run.checkpoint, STAGES), *map(run.history, STAGES)]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.touch(exist_ok=False)
    assert run.checkpoint("search") == tmp_path / "checkpoints" / "last.ckpt"
    assert run.history("retraining") == tmp_path / "history" / "retraining.json"
    with pytest.raises(KeyError):
        run.checkpoint("test")


def test_checkpoints_are_listed_the_newest_first(tmp_path: Path) -> None:
    path = RunFolder(tmp_path).checkpoint("search")
    assert list_checkpoints(path) == []
    path.parent.mkdir()
    for name in (
        "last-10.ckpt",
        "last-2.ckpt",
        "retraining-last.ckpt",
        "last-x.ckpt",
        ".last.ckpt",
    ):
        (path.parent / name).write_bytes(b"")
    (path.parent / "last.ckpt").symlink_to("nothing")
    names = [one.name for one in list_checkpoints(path)]
    assert names == ["last.ckpt", "last-2.ckpt", "last-10.ckpt"]
    newest = path.with_stem("retraining-last")
    assert list_checkpoints(newest) == [newest] and find_last_checkpoint(tmp_path) == newest
