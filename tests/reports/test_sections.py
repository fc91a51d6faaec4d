"""The sections of a page about real runs, whole and in part."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_helpers import Finished

from darts_lite.reports.page import Section
from darts_lite.reports.results import tell_result
from darts_lite.reports.run_files import RunFiles
from darts_lite.reports.sections import (
    make_sections,
    show_architecture,
    show_course,
    show_mistakes,
    tell_files,
    tell_state,
)

BEFORE = Path(__file__).parents[1] / "before"


def sections_of(run: Path) -> dict[str, Section]:
    return {section.title: section for section in make_sections(RunFiles(run))}


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    run = tmp_path / "a run" / "version_0"
    shutil.copytree(finished.directory, run, ignore=shutil.ignore_patterns("events*"))
    return run


@pytest.fixture
def undrawn(copied: Path) -> Path:
    """A run without what takes long to draw."""
    (copied / "architecture.json").unlink()
    shutil.rmtree(copied / "history")
    return copied


def change(run: Path, **values: Any) -> None:
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | values))


def test_a_finished_run_is_told_whole(finished: Finished) -> None:
    run, summary = RunFiles(finished.directory), finished.summary
    assert tell_state(run) == f"MNIST, {summary['data_source']}. Finished."
    parts = sections_of(finished.directory)
    assert [title for title, part in parts.items() if part.missing] == ["Rivals"]
    assert summary["architecture"] in parts["Architecture"].pictures[0].alt
    assert len(parts["Course"].pictures) == len(parts["Mistakes"].pictures) == 2
    assert "name: quick" in parts["Settings"].folded[0][1]
    files = [row[0] for row in parts["How to go on"].tables[0].rows]
    assert {"net.ckpt", "architecture.json", "checkpoints/last.ckpt"} <= set(files)


def test_paths_in_commands_are_quoted(copied: Path) -> None:
    commands = [command for _, command in tell_files(RunFiles(copied)).commands]
    assert f"python -m darts_lite test --ckpt_path '{copied}/net.ckpt'" in commands
    assert f"python -m darts_lite fit --config '{copied}/config.yaml'" in commands
    predict = f"python -m darts_lite predict --ckpt_path '{copied}/net.ckpt' --images"
    assert f"{predict} PATH" in commands  # digits are in no folder
    config = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(config.replace("dataset: MNIST", f"dataset: {copied}"))
    commands = [command for _, command in tell_files(RunFiles(copied)).commands]
    assert f"{predict} '{copied}'" in commands


def test_commands_import_the_modules_of_the_run(copied: Path) -> None:
    config = yaml.safe_load((copied / "config.yaml").read_text())
    config["run"]["imports"] = ["my_parts"]
    (copied / "config.yaml").write_text(yaml.safe_dump(config))
    commands = dict(tell_files(RunFiles(copied)).commands)
    own = [command for command in commands.values() if command.endswith(" '[my_parts]'")]
    assert {command.split()[3] for command in own} == {"test", "predict", "export", "derive"}


def test_an_interrupted_run_says_what_is_missing_and_how_it_comes() -> None:
    (run,) = (BEFORE / "half").rglob("config.yaml")
    assert tell_state(RunFiles(run.parent)).endswith("Not finished.")
    parts = sections_of(run.parent)
    told = " ".join(line for part in parts.values() for line in part.missing)
    assert "--run.resume auto" in told and "answers of a test" in told
    assert parts["How to go on"].commands[-1][0] == "Go on"


def test_a_finished_run_of_an_earlier_version_is_told() -> None:
    (run,) = (BEFORE / "whole").rglob("config.yaml")
    parts = sections_of(run.parent)
    assert parts["Result"].tables[0].rows and parts["Architecture"].pictures


def test_a_run_that_was_not_to_be_retrained(copied: Path) -> None:
    summary = json.loads((copied / "summary.json").read_text())
    known = {name: value for name, value in summary.items() if not name.startswith("test")}
    kept = known | {"stages": ["search"], "class_accuracies": None, "confusion": None}
    (copied / "summary.json").write_text(json.dumps(kept))
    (copied / "history" / "retraining.json").unlink()
    (copied / "net.ckpt").unlink()
    parts = sections_of(copied)
    assert "`retraining: null`" in parts["Result"].missing[0]
    change(copied, finished=False)
    assert "--run.resume auto" in tell_result(RunFiles(copied)).missing[0]
    (copied / "config.yaml").unlink()
    assert "nor is config.yaml" in tell_result(RunFiles(copied)).missing[0]
    assert parts["Mistakes"].missing == ["answers of a test."]
    assert parts["Course"].missing == ["an epoch of the retraining to draw."]
    assert parts["Architecture"].pictures and "test accuracy" not in str(parts["Result"].tables)
    assert not any("net.ckpt" in command for _, command in parts["How to go on"].commands)


def test_a_search_without_shares_is_told_as_one(copied: Path) -> None:
    path = copied / "history" / "search.json"
    history = json.loads(path.read_text())
    plain = [{**moment, "shares": {}} for moment in history["moments"]]
    path.write_text(json.dumps({"moments": plain}))
    part = show_course(RunFiles(copied))
    assert len(part.pictures) == 1 and "without shares" in part.paragraphs[0]
    commands = [command for _, command in tell_files(RunFiles(copied)).commands]
    assert not any(" derive " in command for command in commands)


def test_several_searches_have_pages_of_their_own(copied: Path) -> None:
    change(copied, seeds=[3, 4])
    (copied / "history" / "search.json").unlink()
    part = show_course(RunFiles(copied))
    told = f"python -m darts_lite report '{copied}/seeds/3'"
    assert part.paragraphs[0].endswith(told) and not part.missing


DAMAGES = {
    "Architecture": ("architecture.json", "{"),
    "Course": ("history/search.json", "[]"),
    "Mistakes": ("worst.png", "no picture"),
    "Settings": ("config.yaml", "a: [1\nb: {"),
}


@pytest.mark.parametrize("titles", [("Architecture", "Settings"), ("Course", "Mistakes")])
def test_damaged_files_are_told_and_the_rest_stays(titles: tuple[str, ...], copied: Path) -> None:
    for title in titles:
        name, content = DAMAGES[title]
        (copied / name).write_text(content)
    parts = sections_of(copied)
    assert parts["Result"].tables and not parts["Result"].missing
    assert len(parts) == 7
    for title in titles:
        name = Path(DAMAGES[title][0]).name
        assert any(name in line for line in parts[title].missing)
    shown = {"Architecture", "Course", "Mistakes"} - {*titles}
    assert shown and all(parts[other].pictures for other in shown)


@pytest.mark.parametrize(
    "confusion", [[[1, 2]], "<script>", [[1, "a"], [2, 3]], [[[1]]], {"a": 1}, [[1] * 200] * 200]
)
def test_confusions_that_are_none_are_told(confusion: Any, undrawn: Path) -> None:
    change(undrawn, confusion=confusion)
    part = sections_of(undrawn)["Mistakes"]
    assert part.missing and not part.pictures


def test_confusions_are_told_in_words_with_their_names(undrawn: Path) -> None:
    names = [f"class <{n}> $x" for n in range(10)]
    counts = [[50 * (row == column) for column in range(10)] for row in range(10)]
    counts[3][5] = 7
    change(undrawn, class_names=names, confusion=counts)
    alt = show_mistakes(RunFiles(undrawn)).pictures[0].alt
    assert alt.endswith("class <3> $x is taken for class <5> $x 7 times")
    change(undrawn, class_names=names[:4])
    assert "other class_names" in sections_of(undrawn)["Mistakes"].missing[0]


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_finished_run_without_its_results_is_not_called_unfinished(
    content: str | None, copied: Path
) -> None:
    (copied / "summary.json").unlink()
    if content is not None:
        (copied / "summary.json").write_text(content)
    state, parts = tell_state(RunFiles(copied)), sections_of(copied)
    problem = f"{copied}/summary.json is {'missing' if content is None else 'damaged'}"
    assert state == f"{problem}: its results are not known."
    assert parts["Result"].missing == [f"the results: {problem}; restore it from a copy."]
    assert parts["Course"].pictures and "--run.resume" not in str(parts)


def test_an_architecture_that_is_gone_was_chosen_nevertheless(copied: Path) -> None:
    genotype = RunFiles(copied).summary["architecture"]
    (copied / "architecture.json").unlink()
    part = show_architecture(RunFiles(copied))
    assert part.missing == [f"its drawing: {copied}/architecture.json is missing."]
    assert part.folded == [("The architecture as text", genotype)]
