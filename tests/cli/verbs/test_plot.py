"""`plot` from the files of a real run."""

import shutil
from pathlib import Path

import pytest
from PIL import Image
from run_helpers import Finished

from darts_lite.cli.main import main


def test_a_run_is_drawn_from_its_files_alone(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(finished.directory, moved)
    for path in moved.glob("events*"):
        path.unlink()
    shutil.rmtree(moved / "checkpoints")
    main(["plot", str(moved), "--output", str(tmp_path / "pictures")])
    names = ["cells.png", "alphas.png", "animation.gif", "curves.png"]
    assert capsys.readouterr().out.split() == [str(tmp_path / "pictures" / name) for name in names]
    for name in names:
        with Image.open(tmp_path / "pictures" / name) as picture:
            assert min(picture.size) > 200


def test_vector_graphics_and_a_choice(finished: Finished, tmp_path: Path) -> None:
    chosen = ["--what", "curves", "cost", "alphas", "--format", "svg", "--output", str(tmp_path)]
    main(["plot", str(finished.directory), *chosen])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "alphas.svg",
        "cost.svg",
        "curves.svg",
    ]
    assert "<svg" in (tmp_path / "curves.svg").read_text()


def test_several_runs_are_drawn_by_their_cost(finished: Finished, tmp_path: Path) -> None:
    main(["plot", *2 * [str(finished.directory)], "--output", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["cost.png"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{run}", "{run}", "--what", "cells"], "several runs are drawn by their cost only"),
        (["{begun}"], "nothing to draw yet"),
        (["{run}", "--output", "{begun}/config.yaml"], "set --output to another"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_leaves_nothing(
    words: list[str],
    told: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "config.yaml").write_text("{}")
    places = {"run": finished.directory, "begun": tmp_path}
    with pytest.raises(SystemExit):
        main(["plot", *(word.format(**places) for word in words)])
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_retraining_alone_has_no_shares(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(finished.directory, alone)
    (alone / "history" / "search.json").unlink()
    main(["plot", str(alone)])
    assert {Path(line).name for line in capsys.readouterr().out.split()} == {
        "cells.png",
        "curves.png",
    }
    with pytest.raises(SystemExit):
        main(["plot", str(alone), "--what", "alphas"])
    said = capsys.readouterr().err
    assert "no shares" in said and said.count("\n") == 1


@pytest.mark.parametrize("name", ["", "nowhere", "net.ckpt"])
def test_what_is_no_run_is_named_and_nothing_is_made_there(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.ckpt").write_text("a file")
    with pytest.raises(SystemExit):
        main(["plot", str(tmp_path / name)])
    said = capsys.readouterr().err
    assert "no run in" in said and "config.yaml" in said
    assert [path.name for path in tmp_path.iterdir()] == ["net.ckpt"]
