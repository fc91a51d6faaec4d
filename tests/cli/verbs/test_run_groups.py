"""Groups of runs that agree in a setting."""

from pathlib import Path
from typing import Any

import pytest

from darts_lite.cli.verbs.run_groups import Group, describe_value, find_setting, group_runs

CONFIG = """
seed_everything: 3
model:
  class_path: darts_lite.ArchitectureSearch
  init_args:
    relaxation: {class_path: darts_lite.GumbelMax, init_args: {start: 10.0, end: 0.1}}
    gradient: null
"""
TESTED = {"algorithm": "GDAS", "test_accuracy": 0.9, "validation_accuracy": 0.8}


def write_runs(folder: Path, *summaries: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Folders with the configuration above, and summaries."""
    for number in range(len(summaries)):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "config.yaml").write_text(CONFIG)
    return [(str(folder / str(number)), one) for number, one in enumerate(summaries)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed_everything", "3"),
        ("model.init_args.relaxation", "GumbelMax(start 10.0, end 0.1)"),
        ("model.relaxation", "GumbelMax(start 10.0, end 0.1)"),
        ("model.relaxation.start", "10.0"),
        ("model.class_path", "darts_lite.ArchitectureSearch"),
        ("model.gradient", "null"),
        ("model.gradients", "-"),
        ("seed_everything.more", "-"),
        ("algorithm", "-"),
    ],
)
def test_a_setting_is_found_by_its_name(name: str, value: str, tmp_path: Path) -> None:
    runs = write_runs(tmp_path, TESTED)
    if value == "-":
        with pytest.raises(
            ValueError, match=f"none of these runs has the setting {name}; give seed"
        ):
            group_runs(runs, name, ["seed"])
    else:
        assert [group.value for group in group_runs(runs, name, ["seed"])] == [value]


def test_what_a_summary_tells_comes_from_it(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, TESTED, TESTED | {"algorithm": "SNAS", "validation_accuracy": 0.9})
    assert [group.value for group in group_runs(runs, "algorithm", ["algorithm"])] == [
        "SNAS",
        "GDAS",
    ]


def test_values_in_words() -> None:
    assert describe_value({"class_path": "my.Sharp", "init_args": {}}) == "Sharp"
    assert describe_value([1, None, "a", {"b": True}]) == "[1, null, a, (b true)]"
    assert find_setting({"a": {"init_args": {"b": {"c": 1}}}}, "a.b.c") == "1"


def test_a_mean_is_one_of_all_runs_or_none() -> None:
    group = Group("x", [("a", TESTED | {"search_seconds": 3.0}), ("b", TESTED)])
    assert group.mean("search_seconds") is None and group.mean("test_accuracy") == 0.9
    assert group.deviation == 0 and Group("x", group.runs[:1]).deviation is None
    untold = Group("x", [("a", TESTED), ("b", TESTED | {"validation_accuracy": None})])
    assert untold.best is None and untold.describe()["best_run"] is None


def test_what_cannot_count_is_left_out_with_a_warning(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, TESTED, TESTED | {"seed": 2}, {"algorithm": "GDAS"})
    with pytest.warns(UserWarning, match="without a test accuracy are left out: 1 of 3"):
        (group,) = group_runs(runs, "seed_everything", [])
    assert len(group.runs) == 2
    (tmp_path / "1" / "config.yaml").unlink()
    with pytest.warns(
        UserWarning, match=r"cannot read the settings of .*1 .*; this run is left out"
    ):
        (group,) = group_runs(runs[:2], "seed_everything", [])
    assert len(group.runs) == 1
    with pytest.raises(ValueError, match="none of these runs has a test accuracy"):
        group_runs(runs[2:], "seed_everything", [])


def test_repeats_count_once(tmp_path: Path) -> None:
    one = TESTED | {"seed": 3}
    again = one | {"test_accuracy": 0.95, "validation_accuracy": 0.9}
    runs = write_runs(tmp_path, one, again, one | {"seed": 4}, one | {"device": "cuda"})
    moved = tmp_path / "1" / "config.yaml"
    moved.write_text(f"{CONFIG}run: {{name: again, folder: elsewhere}}\n")
    with pytest.warns(UserWarning, match="same settings and seed are left out: 1"):
        (group,) = group_runs(runs[::-1], "algorithm", ["algorithm"])
    assert {Path(name).name for name, _ in group.runs} == {"0", "2", "3"}
    assert group.differing == []
    drawn = write_runs(tmp_path / "drawn", TESTED | {"seed": True}, again | {"seed": True})
    (group,) = group_runs(drawn, "algorithm", ["algorithm"])
    assert len(group.runs) == 2
    rivals = write_runs(tmp_path / "rivals", TESTED, TESTED | {"test_accuracy": 0.95})  # no seeds
    (group,) = group_runs(rivals, "algorithm", ["algorithm"])
    assert len(group.runs) == 2


def test_settings_that_differ_within_a_group_are_named(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, TESTED, TESTED)
    other = CONFIG.replace("GumbelMax", "Sharpened").replace("_everything: 3", "_everything: 4")
    more = "retraining: {class_path: a.B, init_args: {max_epochs: 2}}\nrun: {jobs: 3}\n"
    (tmp_path / "1" / "config.yaml").write_text(other + more)
    (group,) = group_runs(runs, "algorithm", ["algorithm"])
    assert group.differing == ["model.relaxation", "retraining"]
    more = more.replace("max_epochs: 2", "max_epochs: 3")
    (tmp_path / "0" / "config.yaml").write_text(CONFIG + more)
    (group,) = group_runs(runs, "model.gradient", [])
    assert group.differing == ["model.relaxation", "retraining.max_epochs"]


def test_unknown_settings_are_told_of(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, TESTED, TESTED | {"test_accuracy": 0.8})
    (tmp_path / "1" / "config.yaml").unlink()
    with pytest.warns(UserWarning, match=r"of .*1 .*; in which it differs is not told"):
        (group,) = group_runs(runs, "algorithm", ["algorithm"])
    assert len(group.runs) == 2 and group.differing == []
