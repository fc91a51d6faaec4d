"""Accuracy, costs and times in a table."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from run_helpers import Finished

from darts_lite.derivation.costs import count_pass
from darts_lite.reports.results import tell_result
from darts_lite.reports.run_files import RunFiles
from darts_lite.space.cost_tables import Images


def rows_of(run: Path) -> dict[str, str]:
    return {row[0]: row[1] for row in tell_result(RunFiles(run)).tables[0].rows}


@pytest.fixture
def run(tmp_path: Path, finished: Finished) -> Path:
    for name in ("summary.json", "architecture.json"):
        shutil.copy(finished.directory / name, tmp_path)
    return tmp_path


def change(run: Path, **values: Any) -> None:
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | values))


def test_accuracy_has_an_interval_and_costs_are_those_of_one_pass(finished: Finished) -> None:
    rows, summary = rows_of(finished.directory), finished.summary
    assert rows["test accuracy"].startswith(f"{100 * summary['test_accuracy']:.2f} % of 1,000")
    assert "95 % interval" in rows["test accuracy"]
    assert rows["parameters"] == f"{summary['params']:,}"
    found = RunFiles(finished.directory).architecture
    assert found is not None
    once = count_pass(found, Images(1, 10, 28)).multiply_adds
    assert rows["multiply-adds of one pass"] == f"{once:,}" == f"{summary['macs']:,}"
    assert rows["search"] == f"{summary['search_seconds']:.0f} s"


def test_classes_that_are_neglected_are_told(run: Path) -> None:
    recalls = {"cat": 1.0, "dog": 0.0, "<b>": None}
    change(run, test_accuracy=0.9, balanced_accuracy=0.5, class_recalls=recalls)
    rows = rows_of(run)
    assert rows["balanced accuracy"] == "50.00 %"
    assert rows["recall"] == "cat 100.0 %, dog 0.0 %"
    change(run, balanced_accuracy=None, class_recalls=None)  # of an earlier version
    assert not {"balanced accuracy", "recall"} & rows_of(run).keys()


def test_an_answer_of_several_passes_has_both_counts(run: Path, finished: Finished) -> None:
    change(run, macs=9 * finished.summary["macs"])
    rows = rows_of(run)
    assert rows["multiply-adds of one pass"] == f"{finished.summary['macs']:,}"
    assert "of 9 passes, each shifted" in rows["multiply-adds of an answer"]


def test_a_search_alone_has_the_costs_of_its_architecture(run: Path, finished: Finished) -> None:
    change(run, params=None, macs=None, test_accuracy=None)
    rows = rows_of(run)
    assert rows["parameters"] == f"{finished.summary['params']:,}"
    assert rows["multiply-adds of one pass"] == f"{finished.summary['macs']:,}"
    reached = finished.summary["search_validation_accuracy"]
    assert rows["that of the search"] == f"{100 * reached:.2f} %"


def test_what_is_not_known_is_left_out(run: Path) -> None:
    change(run, preparation=None, test_accuracy=None, validation_accuracy=None)
    rows = rows_of(run)
    assert not {"test accuracy", "validation accuracy", "multiply-adds of one pass"} & rows.keys()
    assert "multiply-adds of an answer" in rows


def test_a_part_of_the_test_images_is_told_as_one(run: Path) -> None:
    change(run, test_images=10, test_images_in_all=1_000, test_accuracy=0.5)
    assert rows_of(run)["test accuracy"] == (
        "50.00 % of 10 of 1,000 test images (95 % interval: 23.66 to 76.34 %)"
    )
