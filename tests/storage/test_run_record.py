"""What is known of a run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from run_helpers import one_line

from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import Halted, RunRecord, halting, read_summary


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
    assert summary == {
        "seed": 3,
        "test_accuracy": 0.5,
        "device": "cpu",
        "alphas": 40,
        "events": {},
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


def test_what_had_been_written_when_the_last_stage_ended(tmp_path: Path) -> None:
    record = RunRecord(RunFolder(tmp_path))
    assert record.events is None
    record.begin({})
    assert record.events == {}

    def search() -> dict[str, int]:
        (tmp_path / "events.out.tfevents.1").write_bytes(b"first")
        return {}

    record.stage("search", search)
    (tmp_path / "events.out.tfevents.1").write_bytes(b"first, second")
    record.begin({})
    assert record.events == {"events.out.tfevents.1": 5}


def test_a_run_of_an_earlier_version_knows_of_no_events(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"stages": ["search"], "updated": 1.0}')
    record = RunRecord(RunFolder(tmp_path))
    record.begin({})
    assert record.events is None and record.summary["stages"] == ["search"]
    record.stage("retraining", dict)
    assert record.events == {}


def test_an_error_tells_where_a_run_goes_on_whatever_the_clock_says(tmp_path: Path) -> None:
    order = [
        "seeds/3/checkpoints/last.ckpt",
        "seeds/4/checkpoints/last.ckpt",
        "checkpoints/last.ckpt",
        "checkpoints/retraining-last-1.ckpt",
        "checkpoints/retraining-last.ckpt",
        "controls/0/checkpoints/retraining-last.ckpt",
    ]
    with pytest.raises(Halted, match="goes on from the start"), halting(tmp_path):
        raise OSError("full")
    for age, name in enumerate(order):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        os.utime(path, (1e9 - age, 1e9 - age))
        with (
            pytest.raises(Halted, match=f"goes on from {path}, which is intact"),
            halting(tmp_path),
        ):
            raise OSError("full")
    with pytest.raises(Halted, match="goes on from it"), halting(tmp_path):
        raise OSError(f"cannot read {path}")


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


def test_a_summary_that_cannot_be_read_is_no_missing_one(tmp_path: Path) -> None:
    (tmp_path / "summary.json").symlink_to("summary.json")
    with pytest.raises(OSError, match=r"cannot read .*summary.json \(Too many levels"):
        read_summary(RunFolder(tmp_path))


def test_a_stage_whose_file_cannot_be_read_is_not_done_again(tmp_path: Path) -> None:
    record, file = RunRecord(RunFolder(tmp_path)), tmp_path / "net.ckpt"
    record.begin({})
    record.stage("retraining", lambda: {"size": file.write_bytes(b"net")}, leaves=[file])
    file.unlink()
    file.symlink_to("net.ckpt")
    record.stage("retraining", lambda: {"size": 1 / 0}, leaves=[file])
