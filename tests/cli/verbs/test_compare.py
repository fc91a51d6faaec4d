"""`compare`: runs side by side."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from run_helpers import Finished
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.cli.main import main
from darts_lite.cli.verbs.compare import (
    find_runs,
    leave_out_parts,
    list_long_settings,
    list_notes,
    make_group_table,
    make_table,
)
from darts_lite.cli.verbs.run_groups import group_runs


@pytest.fixture
def runs(finished: Finished, tmp_path: Path) -> Path:
    """The summary of a real run, and of one that went otherwise."""
    for name, changes in (("first", {}), ("second", {"test_accuracy": 0.999, "seed": 4})):
        folder = tmp_path / name / "version_0"
        folder.mkdir(parents=True)
        summary = finished.summary | changes
        (folder / "summary.json").write_text(json.dumps(summary))
    return tmp_path


def shown(made: Table) -> str:
    """A table as a wide terminal shows it."""
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(made)
    return console.export_text()


def test_the_best_run_comes_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", str(runs), "--json"])
    first, second = json.loads(capsys.readouterr().out)
    assert first["run"].endswith("second/version_0") and first["test_accuracy"] == 0.999
    assert second["run"].endswith("first/version_0")


def test_the_table_shows_what_differs_and_every_figure(runs: Path, finished: Finished) -> None:
    made = make_table(list(find_runs([str(runs)]).items()))
    headings = [column.header for column in made.columns]
    assert "seed" in headings and "data" not in headings  # all have the same data
    assert {"test\n%", "weights", "M mult-\nadds", "search\ns"} <= set(headings)
    text = shown(made)
    assert list_long_settings(list(find_runs([str(runs)]).items())) == []  # all have one algorithm
    told = list_long_settings(list(find_runs([str(runs)]).items()), architectures=True)
    assert [line.partition(": ")[2] for line in told] == 2 * [finished.summary["architecture"]]
    assert "99.90" in text and f"{finished.summary['params']:,}" in text


def test_a_search_alone_has_no_accuracy(runs: Path) -> None:
    (runs / "third").mkdir()
    (runs / "third" / "summary.json").write_text('{"algorithm": "DARTS", "search_seconds": 3}')
    found = find_runs([str(runs)])
    assert len(found) == 3
    assert make_table(list(found.items())).row_count == 3


def test_tensorboard_gets_settings_and_figures(runs: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    main(["compare", str(runs), "--tensorboard", str(board)])
    (board / "second").rename(board / "of a run that is not compared any more")
    (board / "mine").mkdir()
    (board / "mine" / "events.out.tfevents.1.of.mine").touch()
    main(["compare", str(runs), "--tensorboard", str(board)])
    left = {str(path.parent.relative_to(board)) for path in board.rglob("events*")}
    assert left == {"first/version_0", "second/version_0", "mine"}
    logs = [path.parent for path in board.rglob("events*") if path.parent.name != "mine"]
    assert len(logs) == 2
    for log in logs:
        events = EventAccumulator(str(log))
        events.Reload()
        assert "final/test_accuracy" in events.Tags()["scalars"]


def test_runs_are_told_apart_by_what_their_paths_do_not_share(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs)
    (runs / "second").rename(runs / "[bold]")
    found = find_runs(["first", str(runs / "[bold]"), str(runs / "first")])
    assert shown(make_table(list(found.items()))).count("version_0") == 2
    assert "[bold]/version_0" in shown(make_table(list(found.items())))
    main(["compare", "first", "--json", "--tensorboard", "board"])
    said, beside = capsys.readouterr()
    assert len(json.loads(said)) == 1 and "tensorboard --logdir board" in beside


def test_a_damaged_run_is_left_out_with_a_warning(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "summary.json").write_text((finished.directory / "summary.json").read_text()[:300])
    with pytest.warns(UserWarning, match="damaged/summary.json is damaged; this run is left out"):
        main(["compare", str(damaged), str(finished.directory)])
    assert f"{100 * finished.summary['test_accuracy']:.2f}" in capsys.readouterr().out
    (damaged / "summary.json").unlink()
    os.mkfifo(damaged / "summary.json")
    told = "cannot read .*summary.json .is a pipe or a device.*; this run is left out"
    with pytest.raises(SystemExit), pytest.warns(UserWarning, match=told):
        main(["compare", str(damaged)])
    capsys.readouterr()
    (damaged / "summary.json").unlink()
    (damaged / "summary.json").write_text(json.dumps(finished.summary | {"params": "many"}))
    told = "damaged/summary.json has been changed: params is 'many'; .* this run is left out"
    with pytest.raises(SystemExit), pytest.warns(UserWarning, match=told):
        main(["compare", str(damaged)])
    assert "none of these runs can be read" in capsys.readouterr().err


def test_a_run_that_cannot_be_read_is_left_out_with_a_warning(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "summary.json").chmod(0)
    if os.access(tmp_path / "summary.json", os.R_OK):
        pytest.skip("root may read any file")
    with pytest.warns(UserWarning, match="cannot read .*summary.json .*; this run is left out"):
        main(["compare", str(tmp_path), str(finished.directory)])
    assert f"{100 * finished.summary['test_accuracy']:.2f}" in capsys.readouterr().out


def test_a_folder_without_runs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", str(tmp_path)])
    said = capsys.readouterr().err
    assert str(tmp_path) in said and "summary.json" in said and said.count("\n") == 1
    shutil.rmtree(tmp_path)
    with pytest.raises(SystemExit):
        main(["compare", str(tmp_path)])


def test_parts_of_a_run_are_no_runs_of_their_own(
    runs: Path, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = runs / "first" / "version_0"
    for part in ("seeds/3", "seeds/4", "controls/0"):
        (whole / part).mkdir(parents=True)
        (whole / part / "summary.json").write_text(json.dumps(finished.summary))
    found = find_runs([str(runs)])
    assert len(found) == 5 and len(leave_out_parts(found)) == 2
    told = capsys.readouterr().err
    assert "Left out: 3 searches and rivals" in told and f"as {whole / 'controls'}" in told
    assert len(leave_out_parts(find_runs([str(whole / "seeds")]))) == 2  # asked for by name
    main(["compare", str(runs), "--json"])
    assert len(json.loads(capsys.readouterr().out)) == 2


MANY = 20
TORCHLESS = """
import sys
from darts_lite.cli.main import main
main(["compare", *sys.argv[1:]])
assert not {"torch", "lightning", "matplotlib"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def many(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two algorithms with ten seeds."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(MANY):
        place = folder / f"run_{number}" / "version_0"
        place.mkdir(parents=True)
        changes = {
            "algorithm": "GDAS" if number % 2 else "DARTS",
            "seed": number // 2,
            "test_accuracy": 0.9 + number / 1000,
            "validation_accuracy": 0.9 - number / 1000,
            "search_seconds": 10.0 * (1 + number % 2),
        }
        (place / "summary.json").write_text(json.dumps(finished.summary | changes))
        config = (finished.directory / "config.yaml").read_text()
        assert "relaxation: null" in config
        if number % 2:
            gumbel = "{class_path: darts_lite.GumbelMax, init_args: {start: 10.0}}"
            config = config.replace("relaxation: null", f"relaxation: {gumbel}")
        (place / "config.yaml").write_text(config)
    return folder


@pytest.mark.parametrize("words", [[], ["--group", "algorithm"], ["--group", "model.relaxation"]])
def test_no_torch_is_needed(words: list[str], many: Path) -> None:
    command = [sys.executable, "-c", TORCHLESS, str(many), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "run_1" in done.stdout and done.stderr == ""


def test_groups_are_shown_with_their_figures(
    many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", str(many), "--group", "algorithm", "--json"])
    first, second = json.loads(capsys.readouterr().out)
    assert (first["algorithm"], second["algorithm"]) == ("DARTS", "GDAS")  # by validation
    assert first["runs"] == second["runs"] == MANY // 2
    assert first["test_accuracy"] == pytest.approx(0.909) and first["search_seconds"] == 10
    assert first["test_accuracy_deviation"] == pytest.approx(0.002 * (110 / 12) ** 0.5)
    assert first["best_run"] == str(many / "run_0" / "version_0")
    assert first["best_test_accuracy"] == 0.9
    main(["compare", str(many), "--group", "model.init_args.relaxation"])
    said = capsys.readouterr().out
    assert "GumbelMax(start 10.0): best by validation is run_1/version_0\n" in said
    main(["compare", str(many), "--group", "data.dataset"])
    told = "run_0/version_0; its runs also differ in algorithm, model.relaxation\n"
    assert told in capsys.readouterr().out


def test_a_single_run_has_no_deviation(many: Path) -> None:
    runs = list(find_runs([str(many / "run_0"), str(many / "run_1"), str(many / "run_2")]).items())
    groups = group_runs(runs, "algorithm", ["algorithm"])
    assert [len(group.runs) for group in groups] == [2, 1]
    lines = [line.split() for line in shown(make_group_table("algorithm", groups)).splitlines()]
    assert ["GDAS", "1", "89.90", "90.10", "-", "20", "90.10"] in lines
    alone = group_runs(runs, "seed", ["seed"])[1:]
    assert "devia-" not in shown(make_group_table("seed", alone))
    assert list_notes(alone) == ["1: best by validation is version_0"]


def test_tensorboard_gets_groups(many: Path, tmp_path: Path) -> None:
    board = str(tmp_path / "board")
    main(["compare", str(many), "--group", "model.relaxation", "--tensorboard", board])
    logs = sorted(path.name for path in Path(board).iterdir())
    assert logs == ["0_null", "1_GumbelMax_start_10.0_"]
    events = EventAccumulator(str(tmp_path / "board" / logs[0]))
    events.Reload()
    (mean,) = events.Scalars("group/test_accuracy")
    assert mean.value == pytest.approx(0.909) and "group/runs" in events.Tags()["scalars"]


def test_groups_have_no_architectures(many: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", str(many), "--group", "seed", "--architectures"])
    assert "leave it or --group out" in capsys.readouterr().err


def test_a_narrow_terminal_loses_nothing(
    many: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in ([], ["--group", "algorithm"], ["--group", "model.relaxation"]):
        shown = []
        for columns in ("40", "200"):
            monkeypatch.setenv("COLUMNS", columns)
            main(["compare", str(many), *words])
            said = capsys.readouterr().out
            assert "…" not in said
            shown.append("".join(said.replace("─", "").split()))
        narrow, wide = shown
        assert sorted(narrow) == sorted(wide), (words, narrow, wide)  # names may be in two lines
