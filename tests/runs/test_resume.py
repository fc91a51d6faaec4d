"""Finding an interrupted run, and its records."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from jsonargparse import Namespace
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from darts_lite.runs.resume import (
    check_data,
    check_same_settings,
    claim,
    find_resume_point,
    find_unfinished_run,
    forget_events,
    read_newest_checkpoint,
    take_choices,
)
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import RunRecord

CHECKPOINT = {
    "state_dict": {},
    "model": {"class_path": "darts_lite.ArchitectureSearch", "init_args": {}},
    "global_step": 2,
}


def run(place: Path, version: int, finished: bool | None) -> RunFolder:
    folder = RunFolder(place / f"version_{version}")
    folder.path.mkdir(parents=True)
    folder.config.write_text("run: {name: a, resume: null}\nseed_everything: 1\n")
    if finished is not None:
        folder.summary.write_text(json.dumps({"finished": finished}))
    return folder


@pytest.mark.parametrize(
    ("then", "now", "taken"),
    [
        ("literal", "auto", "literal"),
        ("literal", None, "literal"),
        ("literal", "folded", "folded"),
        (None, "auto", None),  # of a version before
        ("os.system", "auto", "auto"),
        (["literal"], "auto", "auto"),
    ],
)
def test_what_a_run_chose_is_taken_when_it_goes_on(
    then: object, now: object, taken: object, tmp_path: Path
) -> None:
    folder = run(tmp_path, 0, None)
    settings = {"model": {"init_args": {"executor": then}}}
    folder.config.write_text(json.dumps(settings))
    config = Namespace()
    config["model.init_args.executor"] = now
    take_choices(folder, config)
    assert config["model.init_args.executor"] == taken


def test_the_newest_unfinished_run_is_found(tmp_path: Path) -> None:
    assert find_unfinished_run(tmp_path / "none") is None
    run(tmp_path, 2, False)
    expected = run(tmp_path, 9, None)  # killed before its first summary
    run(tmp_path, 10, True)
    (tmp_path / "version_11").mkdir()  # no run at all
    (tmp_path / "version_x").mkdir()
    assert find_unfinished_run(tmp_path) == expected
    assert expected.number == 9


def test_other_settings_are_named(tmp_path: Path) -> None:
    folder = run(tmp_path, 0, False)
    check_same_settings(folder, "run: {name: a, resume: null}\nseed_everything: 1\n")
    with pytest.raises(ValueError, match="seed_everything: 1 then, 2 now.*run.resume to null"):
        check_same_settings(folder, "run: {name: a, resume: null}\nseed_everything: 2\n")
    with pytest.raises(ValueError, match="and 1 more"):
        check_same_settings(folder, "{a: {b: 1, c: 2}, d: 3, run: {name: a}, seed_everything: 2}")


def test_how_often_to_save_may_change(tmp_path: Path) -> None:
    folder = run(tmp_path, 0, False)
    changed = "run: {name: a, resume: null, keep_checkpoints: 9, on_nonfinite: rollback}\n"
    check_same_settings(folder, changed + "seed_everything: 1\n")


def test_only_one_process_is_at_a_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "version_0")
    with claim(folder, new=True):
        with pytest.raises(ValueError, match="has begun .*version_0 at this very moment"):
            claim(folder, new=True).__enter__()
        with pytest.raises(ValueError, match="version_0 is still going on in another process"):
            claim(folder, new=False).__enter__()
    part = folder.path / "seeds" / ".architecture.png.7.part"
    part.parent.mkdir()
    part.write_bytes(b"half")
    with claim(folder, new=False):
        assert not part.exists()


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal; from darts_lite.runs.resume import claim\n"
        "from darts_lite.storage.run_folder import RunFolder\n"
        f"with claim(RunFolder(pathlib.Path({str(tmp_path / 'run')!r})), True):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code])
    assert killed.returncode == -signal.SIGKILL
    with claim(RunFolder(tmp_path / "run"), new=False):
        pass


def test_a_run_goes_on_with_its_own_images() -> None:
    check_data({}, 7, "local files")
    check_data({"data_checksum": 7, "data_source": "download"}, 7, "local files")
    with pytest.raises(ValueError, match="other images .download; now: embedded"):
        check_data({"data_checksum": 7, "data_source": "download"}, 8, "embedded")


def test_a_broken_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "last.ckpt"
    assert read_newest_checkpoint(path) is None
    path.write_bytes(b"half")
    assert read_newest_checkpoint(path) is None
    torch.save(CHECKPOINT, tmp_path / "last-1.ckpt")
    found = read_newest_checkpoint(path)
    assert found is not None and found.path == tmp_path / "last-1.ckpt"
    (tmp_path / "last-1.ckpt").unlink()
    for number in (2, 10):  # the higher number is the older one
        torch.save(CHECKPOINT, tmp_path / f"last-{number}.ckpt")
    found = read_newest_checkpoint(path)
    assert found is not None and found.path == tmp_path / "last-2.ckpt"
    assert "not a readable checkpoint" in capsys.readouterr().out
    torch.save(CHECKPOINT, path)
    found = read_newest_checkpoint(path)
    assert found is not None and found.path == path


def steps_of(directory: Path, tag: str) -> list[int]:
    events = EventAccumulator(str(directory)).Reload()
    return [one.step for one in events.Scalars(tag)] if tag in events.Tags()["scalars"] else []


def write(directory: Path, tag: str, steps: range) -> None:
    with SummaryWriter(str(directory)) as writer:
        for step in steps:
            writer.add_scalar(tag, step / 2, step)


def test_what_will_be_made_again_is_forgotten(tmp_path: Path) -> None:
    write(tmp_path, "search/loss", range(10))
    time.sleep(0.01)
    ended = time.time()
    time.sleep(0.01)
    write(tmp_path, "retraining/loss", range(4))
    saved = time.time()
    time.sleep(0.01)
    write(tmp_path, "retraining/loss", range(4, 9))
    forget_events(tmp_path, saved, 5)  # the event of the last step before it came just after it
    assert steps_of(tmp_path, "search/loss") == list(range(10))
    assert steps_of(tmp_path, "retraining/loss") == list(range(5))
    write(tmp_path, "retraining/loss", range(5, 9))
    assert steps_of(tmp_path, "retraining/loss") == list(range(9))
    forget_events(tmp_path, ended, -1)
    assert steps_of(tmp_path, "search/loss") == list(range(10))
    assert steps_of(tmp_path, "retraining/loss") == []


def test_events_keep_their_order_whatever_the_names_of_their_files(tmp_path: Path) -> None:
    for number in (9, 10):
        (tmp_path / "new").mkdir()
        write(tmp_path / "new", "loss", range(number, number + 1))
        (file,) = (tmp_path / "new").iterdir()
        file.rename(tmp_path / f"events.out.tfevents.1.host.1.{number}")
        (tmp_path / "new").rmdir()
    now = time.time()
    time.sleep(0.01)
    write(tmp_path, "later", range(20, 21))
    forget_events(tmp_path, now, 0)
    assert steps_of(tmp_path, "loss") == [9, 10] and steps_of(tmp_path, "later") == []


def test_a_torn_end_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "loss", range(10))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    time.sleep(0.01)
    now = time.time()
    write(tmp_path, "loss", range(9, 12))
    forget_events(tmp_path, now, -1)
    assert steps_of(tmp_path, "loss") == list(range(9))


def test_no_records_are_no_trouble(tmp_path: Path) -> None:
    forget_events(tmp_path, 0.0, -1)
    assert find_resume_point("search", RunRecord(RunFolder(tmp_path))) is None
