"""What is known of a run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from run_helpers import one_line

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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stages", 5),
        ("stages", [["search"]]),
        ("updated", "today"),
        ("updated", 10**400),
        ("finished", "yes"),
        ("test_accuracy", [0.9]),
        ("params", float("inf")),
        ("search_seconds", True),
        ("dataset", 3),
        ("architecture", ["Genotype"]),
        ("seeds", 3),
        ("control_interval", [1.0]),
        ("control_test_accuracies", [0.9, "0.8"]),
    ],
)
def test_a_summary_that_was_changed_is_told(name: str, value: Any, tmp_path: Path) -> None:
    possible = {"test_accuracy": None, "stages": ["search"], "seeds": [1, 2], "own": [1, {}]}
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(possible))
    assert read_summary(RunFolder(tmp_path)) == possible
    path.write_text(json.dumps({**possible, name: value}))
    with pytest.raises(ValueError) as caught:
        RunRecord(RunFolder(tmp_path))
    one_line(caught, "summary.json has been changed", name, "restore the value")


def test_no_summary_or_a_torn_one(tmp_path: Path) -> None:
    assert read_summary(RunFolder(tmp_path)) == {}
    for text in ("", "{", "[]", "\x00"):
        (tmp_path / "summary.json").write_text(text)
        assert read_summary(RunFolder(tmp_path)) == {}
