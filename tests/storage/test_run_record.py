"""What is known of a run."""

import json
import time
from pathlib import Path

import pytest

from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import RunRecord, read_summary


def test_a_stage_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    record = RunRecord(RunFolder(tmp_path))
    record.begin({"seed": 3, "test_accuracy": None})
    record.stage("search", lambda: {"alphas": 40})
    again = RunRecord(RunFolder(tmp_path))
    again.begin({"seed": 4, "device": "cpu"})
    again.stage("search", lambda: {"alphas": 1 / 0})
    again.stage("test", lambda: {"test_accuracy": 0.5})
    assert not read_summary(RunFolder(tmp_path))["finished"]
    again.finish()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary.pop("updated") <= time.time()
    assert summary == {
        "seed": 3,
        "test_accuracy": 0.5,
        "device": "cpu",
        "alphas": 40,
        "stages": ["search", "test"],
        "finished": True,
    }


def test_a_stage_whose_file_is_gone_is_done_again(tmp_path: Path) -> None:
    record, file = RunRecord(RunFolder(tmp_path)), tmp_path / "net.ckpt"
    record.begin({})
    for times in (1, 2):
        record.stage("retraining", lambda: {"size": file.write_bytes(b"net")}, leaves=[file])
        record.stage("retraining", lambda: {"size": 1 / 0}, leaves=[file])
        assert record.summary["stages"] == ["retraining"], times
        file.unlink()


def test_one_of_several_processes_writes(tmp_path: Path) -> None:
    record = RunRecord(RunFolder(tmp_path), writes=False)
    record.begin({})
    record.stage("search", lambda: {"alphas": 40})
    assert record.summary["alphas"] == 40 and not list(tmp_path.iterdir())


def test_a_stage_that_fails_is_not_done(tmp_path: Path) -> None:
    record = RunRecord(RunFolder(tmp_path))
    record.begin({})
    before = (tmp_path / "summary.json").read_text()
    with pytest.raises(ZeroDivisionError):
        record.stage("search", lambda: {"alphas": 1 / 0})
    assert (tmp_path / "summary.json").read_text() == before


def test_when_the_last_stage_ended(tmp_path: Path) -> None:
    record = RunRecord(RunFolder(tmp_path))
    assert record.since == float("inf")
    record.begin({})
    first = record.since
    assert first <= time.time()
    record.begin({})
    assert record.since == first


def test_no_summary_or_a_torn_one(tmp_path: Path) -> None:
    assert read_summary(RunFolder(tmp_path)) == {}
    for text in ("", "{", "[]", "\x00"):
        (tmp_path / "summary.json").write_text(text)
        assert read_summary(RunFolder(tmp_path)) == {}
