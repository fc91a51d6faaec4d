"""Finding an interrupted run, and its records."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from jsonargparse import Namespace
from run_helpers import SMALL, Finished, one_line
from torch.utils.tensorboard import SummaryWriter

from darts_lite.data.images.augmentation import Augmentation
from darts_lite.runs.resume import (
    check_architecture,
    check_checkpoints,
    check_same_settings,
    claim,
    find_resume_point,
    find_unfinished_run,
    read_newest_checkpoint,
    take_choices,
)
from darts_lite.space.groups import random_point
from darts_lite.storage.event_files import measure_events
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
    with pytest.raises(
        ValueError,
        match="seed_everything: 1 then, 2 now.*or another run.name for a new run or sweep",
    ):
        check_same_settings(folder, "run: {name: a, resume: null}\nseed_everything: 2\n")
    with pytest.raises(ValueError, match="and 1 more"):
        check_same_settings(folder, "{a: {b: 1, c: 2}, d: 3, run: {name: a}, seed_everything: 2}")


def places(folder: str, root: str, dataset: str) -> str:
    arguments = {"root": root, "dataset": dataset}
    logger = {"class_path": "CSVLogger", "init_args": {"save_dir": folder}}
    trainer = {"logger": [logger], "default_root_dir": folder}
    settings = {"run": {"folder": folder, "name": folder}, "data": {"init_args": arguments}}
    return json.dumps({"trainer": trainer, **settings})


def test_places_may_change_and_data_sets_may_not(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    folder = run(tmp_path, 0, False)
    folder.config.write_text(places("a", "b", "/mnt/images"))
    rows = tmp_path / "rows.npz"
    rows.touch()
    for moved in (images, rows):
        check_same_settings(folder, places("c", "d", str(moved)))
    for then, now in (
        ("/mnt/images", "MNIST"),
        ("MNIST", str(images)),
        ("/mnt/images", str(tmp_path / "none")),
    ):
        folder.config.write_text(places("a", "b", then))
        with pytest.raises(ValueError, match=r"other settings \(data.init_args.dataset: "):
            check_same_settings(folder, places("c", "d", now))


def retrained(architecture: Any, inherit: bool) -> str:
    arguments = {"architecture": architecture, "inherit": inherit}
    return json.dumps({"model": {"init_args": arguments}})


def test_an_architecture_may_move_and_not_change(tmp_path: Path) -> None:
    folder, elsewhere = run(tmp_path, 0, False), tmp_path / "elsewhere.json"
    first = SMALL.first_architecture()
    first.save(elsewhere)
    check_architecture(folder, first)  # nothing was trained yet
    first.save(folder.architecture)
    folder.config.write_text(retrained("before.json", False))
    check_same_settings(folder, retrained(str(elsewhere), False))
    check_architecture(folder, first)
    for now in (retrained(str(elsewhere), True), retrained("DARTS_V1", False)):
        with pytest.raises(ValueError, match="cannot go on with other settings"):
            check_same_settings(folder, now)
    with pytest.raises(ValueError, match="began with another architecture") as refused:
        check_architecture(folder, SMALL.architecture(random_point(SMALL.sizes, Random(1))))
    one_line(refused, folder.architecture)


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


def die_with(folder: RunFolder) -> None:
    """Is killed while it holds a folder."""
    with claim(folder, new=True):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    killed = multiprocessing.get_context("fork").Process(target=die_with, args=(folder,))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    with claim(folder, new=False):
        pass


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


def unreadable(path: Path) -> Path:
    """Makes a path that nobody can open, not even root, as where a network disk does not answer."""
    if path.exists():
        path.rename(path.with_name("away"))
    path.symlink_to(path.name)
    return path


def test_what_cannot_be_read_ends_the_resume_and_damage_does_not(tmp_path: Path) -> None:
    folder = run(tmp_path, 3, False)
    newest = folder.checkpoint("search")
    newest.parent.mkdir()
    torch.save(CHECKPOINT, newest)
    torch.save(CHECKPOINT, newest.with_stem("last-1"))
    for path, look in (
        (newest, lambda: read_newest_checkpoint(newest)),
        (folder.summary, lambda: find_unfinished_run(tmp_path)),
        (folder.config, lambda: check_same_settings(folder, "{}")),
        (newest.parent, lambda: read_newest_checkpoint(newest)),
        (folder.path, lambda: find_unfinished_run(tmp_path)),
    ):
        unreadable(path)
        with pytest.raises(OSError, match=r"cannot read .*\(Too many levels") as ended:
            look()
        one_line(ended, path.name)
        assert path.is_symlink()
        path.unlink()
        (path.with_name("away")).rename(path)
    assert find_unfinished_run(tmp_path) == folder
    newest.write_bytes(b"half")
    found = read_newest_checkpoint(newest)
    assert found is not None and found.path.stem == "last-1"


def test_a_file_in_the_place_of_a_run_is_named(tmp_path: Path) -> None:
    run(tmp_path, 8, False)
    (tmp_path / "version_9").write_text("")
    found = find_unfinished_run(tmp_path)
    assert found is not None and found.number == 8
    with pytest.raises(ValueError, match="version_9 should become .* and is a file") as refused:
        claim(RunFolder(tmp_path / "version_9"), new=True).__enter__()
    one_line(refused)


def stopped(folder: RunFolder, state: dict[str, Any]) -> None:
    """Writes a checkpoint after step 2 of a search, and events of the steps around it."""
    known = {"random": {}, "batches": {}, "seconds": 1.0, "metrics": {}, "results": None, **state}
    folder.checkpoint("search").parent.mkdir()
    torch.save({**CHECKPOINT, "callbacks": {"Saving": known}}, folder.checkpoint("search"))
    with SummaryWriter(str(folder)) as writer:
        for step in range(5):
            writer.add_scalar("search/loss", step / 2, step)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ({"events": {}}, False),
        ({"events": {}, "results": {"algorithm": "DARTS"}}, True),  # nothing is made again
        ({"time": 0.0}, True),  # of an earlier version
    ],
)
def test_only_what_is_made_again_is_dropped(
    state: dict[str, Any], kept: bool, tmp_path: Path
) -> None:
    folder = run(tmp_path, 0, False)
    stopped(folder, state)
    before = measure_events(folder.path)
    assert find_resume_point("search", RunRecord(folder)) is not None
    assert (measure_events(folder.path) == before) == kept


def test_a_clock_that_was_set_back_takes_nothing_of_a_search_that_ended(tmp_path: Path) -> None:
    folder, now = run(tmp_path, 0, None), time.time()
    record = RunRecord(folder)
    record.begin({})

    def log(tag: str, seconds: float) -> dict[str, Any]:
        with SummaryWriter(str(folder)) as writer:
            for step in range(5):
                writer.add_scalar(tag, step / 2, step, seconds)
        return {}

    record.stage("search", lambda: log("search/loss", now))
    searched = measure_events(folder.path)
    log("retraining/loss", now - 3600)
    assert find_resume_point("retraining", RunRecord(folder)) is None
    assert measure_events(folder.path) == searched


def test_no_records_are_no_trouble(tmp_path: Path) -> None:
    assert find_resume_point("search", RunRecord(RunFolder(tmp_path))) is None


def test_a_run_whose_checkpoints_are_gone_is_not_begun_again(
    finished: Finished, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "version_0")
    shutil.copytree(finished.directory, folder.path)
    check_checkpoints(folder)
    folder.checkpoint("search").parent.rename(tmp_path / "away")
    for told in ("summary", "history"):
        with pytest.raises(OSError) as caught:
            check_checkpoints(folder)
        one_line(caught, "has trained, and its checkpoints are gone; put the folder checkpoints")
        if told == "summary":
            folder.summary.unlink()
    shutil.rmtree(folder.history("search").parent)
    check_checkpoints(folder)  # it was killed at once
    folder.checkpoint("search").parent.symlink_to(tmp_path / "not mounted")
    with pytest.raises(OSError, match="a link to a place that is not there"):
        check_checkpoints(folder)


def test_ways_to_augment_that_a_run_of_before_did_not_know_are_off(tmp_path: Path) -> None:
    folder = run(tmp_path, 0, None)
    then = "data: {init_args: {augmentation: {init_args: {shift: 1}}}}\n"
    folder.config.write_text(then)
    now = Augmentation(shift=1).describe()["init_args"]
    check_same_settings(folder, f"data: {{init_args: {{augmentation: {{init_args: {now}}}}}}}\n")
    now["contrast"] = 0.1
    with pytest.raises(ValueError, match="augmentation.init_args.contrast: 0.0 then, 0.1 now"):
        check_same_settings(
            folder, f"data: {{init_args: {{augmentation: {{init_args: {now}}}}}}}\n"
        )


@pytest.mark.parametrize("group", ["model", "retraining"])
def test_a_run_of_before_rounded_nothing(group: str, tmp_path: Path) -> None:
    folder = run(tmp_path, 0, None)
    folder.config.write_text(f"{group}: {{init_args: {{max_epochs: 3}}}}\n")
    now = group + ": {{init_args: {{max_epochs: 3, quantize: {}}}}}\n"
    check_same_settings(folder, now.format("false"))
    with pytest.raises(ValueError, match="quantize: False then, True now"):
        check_same_settings(folder, now.format("true"))
