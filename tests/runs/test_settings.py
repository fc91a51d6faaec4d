"""The group `run` of a configuration."""

from dataclasses import replace
from typing import Any

import pytest

from darts_lite.runs.settings import BudgetSettings, RunSettings


def test_a_run_needs_no_settings() -> None:
    assert RunSettings().max_minutes is None


@pytest.mark.parametrize(
    "setting",
    [
        *("max_minutes", "seeds", "control_nets"),
        *("save_every_steps", "save_every_minutes", "keep_checkpoints", "max_rollbacks"),
    ],
)
def test_numbers_out_of_range_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=f"run.{setting} must be .*, got 0"):
        RunSettings(**{setting: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "./", "caf\udce9", "../x", "/tmp/x", "a\nb", "a\0b", "x" * 300),
        *("$HOME", "a$", "${HOME}/b", "~", "~/x", "~root", "s3://bucket", "file:/tmp", "data:x"),
    ],
)
def test_a_name_stays_in_its_folder(name: str) -> None:
    assert RunSettings(name="a/b").name == "a/b"
    with pytest.raises(ValueError, match="the name of a folder|200 printable characters in UTF-8"):
        RunSettings(name=name)


def test_the_folder_is_expanded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", "/big")
    monkeypatch.setenv("HOME", "/mine")
    for folder, path in (
        ("logs", "logs"),
        ("$SCRATCH/runs", "/big/runs"),
        ("~/runs", "/mine/runs"),
    ):
        run = RunSettings(folder=folder)
        assert run.folder == path and replace(run, seeds=2).folder == path
        assert str(run.place) == f"{path}/search"


@pytest.mark.parametrize("folder", ["", "a$", "$$", "$NOWHERE", "~no_such_user", "s3://bucket"])
def test_what_is_no_folder_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="^run.folder") as refused:
        RunSettings(folder=folder)
    assert "\n" not in str(refused.value)


def test_a_budget_sets_the_limits_of_the_rule() -> None:
    assert BudgetSettings().describe_rule("Retraining", {}) is None
    budget = BudgetSettings(parameters=5000, memory="8kB")
    rule = budget.describe_rule("ArchitectureSearch", {"derivation": None})
    limits = {"parameters": 5000, "memory": "8kB", "least_parameters": None}
    assert rule == {"class_path": "darts_lite.WithinBudget", "init_args": limits}
    before = {"channels": 32, "parameters": 30_000, "least_parameters": 22_000}
    known = {"derivation": {"class_path": "darts_lite.WithinBudget", "init_args": before}}
    rule = budget.describe_rule("ArchitectureSearch", known)
    assert rule is not None and rule["init_args"] == before | limits


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "Exploration derives nothing; .* or set budget.flash to null"),
        ({"derivation": {"class_path": "darts_lite.SkipLimit"}}, "is darts_lite.SkipLimit; leave"),
    ],
)
def test_a_budget_that_nothing_keeps_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        BudgetSettings(flash=1000).describe_rule("Exploration", settings)
