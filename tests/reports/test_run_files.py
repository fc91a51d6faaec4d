"""What a run has left, as far as it is there."""

import json
import shutil
from pathlib import Path

import pytest
from run_helpers import Finished, one_line

from darts_lite.reports.run_files import RunFiles
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cost_tables import Images


def test_a_finished_run_has_everything(finished: Finished) -> None:
    run = RunFiles(finished.directory)
    assert run.summary == finished.summary
    assert run.config["run"]["name"] == "quick" and "name: quick" in run.config_text
    assert run.architecture == Architecture.load(finished.directory / "architecture.json")
    assert run.images == Images(1, 10, 28) and run.class_names is None
    assert len(run.stages["retraining"].moments) == 3
    assert run.is_finished("test") and not run.is_finished("control")


def test_a_run_that_has_just_begun_has_little(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed_everything: 3")
    run = RunFiles(tmp_path)
    assert run.config == {"seed_everything": 3} and run.summary == {} and run.images is None
    assert run.architecture is None and run.stages["search"].moments == ()


def test_images_of_earlier_versions_are_known_after_the_test(
    finished: Finished, tmp_path: Path
) -> None:
    before = {k: v for k, v in finished.summary.items() if k not in ("classes", "class_names")}
    (tmp_path / "summary.json").write_text(json.dumps(before))
    assert RunFiles(tmp_path).images == Images(1, 10, 28)
    (tmp_path / "summary.json").write_text(json.dumps(before | {"class_accuracies": None}))
    assert RunFiles(tmp_path).images is None


def test_what_is_no_run_and_what_is_damaged_is_told(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        RunFiles(tmp_path)
    one_line(caught, "no run in", tmp_path, "give a folder that holds config.yaml")
    for seed in ("3", "4"):
        shutil.copytree(finished.directory / "history", tmp_path / "sweep" / seed / "version_0")
        shutil.copy(finished.directory / "summary.json", tmp_path / "sweep" / seed / "version_0")
    with pytest.raises(FileNotFoundError) as several:
        RunFiles(tmp_path / "sweep")
    first = tmp_path / "sweep" / "3" / "version_0"
    one_line(several, f"give one of the runs inside of it (2), as {first}; all of them together: ")
    one_line(several, f"python -m darts_lite compare {tmp_path / 'sweep'}")
    shutil.copy(finished.directory / "summary.json", tmp_path)
    (tmp_path / "config.yaml").write_text("a: [1\nb: {")
    with pytest.raises(ValueError) as damaged:
        _ = RunFiles(tmp_path).config
    one_line(damaged, "config.yaml is not a configuration")
