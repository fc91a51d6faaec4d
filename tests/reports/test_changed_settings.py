"""Which settings differ from their defaults."""

import sys
from typing import Any

import yaml
from run_helpers import Finished

from darts_lite.reports.changed_settings import list_changed


def test_what_a_run_was_told_is_listed_and_nothing_else(finished: Finished) -> None:
    config = yaml.safe_load((finished.directory / "config.yaml").read_text())
    rows = dict(list_changed(config))
    assert rows["model.space"] == "SearchSpace" and rows["model.space.nodes"] == "2"
    assert rows["model.regularizers[0].strength"] == "0.1"
    assert rows["retraining.drop_path"] == "0.1" and rows["data.augmentation.shift"] == "1"
    assert rows["run.name"] == "quick" and rows["trainer.max_epochs"] == "2"
    quiet = {"trainer.devices", "trainer.enable_model_summary", "trainer.strategy", "run.seeds"}
    quiet |= {"data.seed", "model.relaxation", "retraining.optimizer"}  # the last one a function
    assert not rows.keys() & quiet
    assert len(rows) < 40


def test_nothing_is_imported_because_a_file_names_it() -> None:
    config: dict[str, Any] = {"model": {"class_path": "antigravity.Search", "init_args": {"a": 1}}}
    assert dict(list_changed(config)) == {"model": "Search", "model.a": "1"}
    assert "antigravity" not in sys.modules
    builtin = {"model": {"class_path": "builtins.type", "init_args": {"a": [1, 2]}}}
    assert dict(list_changed(builtin)) == {"model": "type", "model.a": "[1, 2]"}
    assert dict(list_changed({"run": 3, "data": None})) == {"run": "3"}
