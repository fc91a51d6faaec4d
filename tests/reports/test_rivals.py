"""Rivals and seeds in words and tables."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_helpers import Finished

from darts_lite.reports.page import Section
from darts_lite.reports.rivals import tell_rivals
from darts_lite.reports.run_files import RunFiles

CONTROL: dict[str, Any] = {
    "control": "random",
    "control_names": ["Random net 1", "Random net 2"],
    "control_test_accuracies": [0.1, 0.999],
    "control_params": [900, 1_000],
    "control_macs": [7, None],
    "control_percentile": 50.0,
    "control_interval": [9.5, 90.5],
}
SEEDS: dict[str, Any] = {"seeds": [3, 4], "agreement": 0.75, "agreement_by_chance": 0.5}


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    run = tmp_path / "run"
    shutil.copytree(finished.directory, run, ignore=shutil.ignore_patterns("*.ckpt", "events*"))
    return run


def told(run: Path, more: dict[str, Any]) -> Section:
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | more))
    return tell_rivals(RunFiles(run))


def test_the_found_net_stands_among_its_rivals_with_intervals(
    copied: Path, finished: Finished
) -> None:
    section = told(copied, CONTROL)
    assert section.paragraphs == [
        "The found net beats 50 % of 2 random nets that were trained in the same way (95 % "
        "interval: 10 to 90 %)."
    ]
    rows = section.tables[0].rows
    assert [row[0] for row in rows] == ["Random net 2", "found", "Random net 1"]
    assert rows[0] == ("Random net 2", "99.90 %", "99.44 to 99.98 %", "1,000", "-")
    assert rows[1][3] == f"{finished.summary['params']:,}" and not section.missing


def test_searches_with_other_seeds_are_told(copied: Path, finished: Finished) -> None:
    for seed in (3, 4):
        part = copied / "seeds" / str(seed)
        part.mkdir(parents=True)
        shutil.copy(finished.directory / "summary.json", part)
    shutil.copy(copied / "architecture.png", copied / "agreement.png")
    section = told(copied, SEEDS)
    assert "75 % of the choices are shared by the 2 searches" in section.paragraphs[0]
    assert "would share 50 %" in section.paragraphs[0]
    accuracy = f"{100 * finished.summary['search_validation_accuracy']:.2f} %"
    table = section.tables[0]
    assert table.rows == [("seed 3", accuracy), ("seed 4", accuracy)]
    assert table.columns == ("search", "validation accuracy of the search")
    assert len(section.pictures) == 1 and len(section.folded) == 2


def test_a_run_without_rivals_says_how_to_have_some(copied: Path) -> None:
    (missing,) = told(copied, {}).missing
    assert "--run.control random" in missing and "--run.seeds 3" in missing


def test_searches_that_are_not_done_are_missing(copied: Path) -> None:
    config = yaml.safe_load((copied / "config.yaml").read_text())
    config["run"]["seeds"] = 3
    (copied / "config.yaml").write_text(yaml.safe_dump(config))
    section = told(copied, {"finished": False})
    assert section.missing == ["the searches with 3 seeds, which are not all done."]


def test_rivals_that_are_not_trained_yet_are_missing(copied: Path) -> None:
    text = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(text.replace("control: null", "control: random"))
    assert "the rivals, which are trained last." in told(copied, {"finished": False}).missing
