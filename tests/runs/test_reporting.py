"""What a run tells of itself."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from run_helpers import SMALL, quiet_trainer

from darts_lite.cli.front.arguments import OWN
from darts_lite.cli.main import parser
from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.reporting import (
    add_session,
    describe_start,
    doubt_batches,
    report,
    shorten_settings,
    suggest_commands,
)
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.storage.run_folder import RunFolder

SUMMARY: dict[str, Any] = {
    "dataset": "MNIST",
    "data_source": "local files",
    "architecture": "Genotype(normal=[('conv_3x3', 0)])",
    "params": 12345,
    "macs": 678901,
    "test_accuracy": 0.9951,
    "search_seconds": 12.3,
    "retrain_seconds": None,
}


def test_the_report_shows_the_figures_and_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "summary.json").write_text("{}")
    report(RunFolder(tmp_path), SUMMARY)
    out = capsys.readouterr().out
    for text in (
        "MNIST, local files",
        "12,345",
        "678,901",
        "99.51 %",
        "12 s",
        "summary.json",
        str(tmp_path),
    ):
        assert text in out
    assert out.splitlines()[-5].startswith("Files in ")


def test_a_part_of_a_comparison_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(RunFolder(tmp_path), SUMMARY | {"agreement": 0.5, "control_percentile": 80.0})
    out = capsys.readouterr().out
    assert "99.51 %" in out and "agreement" not in out and "random nets" not in out


def test_text_that_looks_like_markup_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = {"dataset": "/a[/b]c", "data_source": "[red]d", "architecture": "[bold]e[/]"}
    report(RunFolder(tmp_path), SUMMARY | looks)
    out = capsys.readouterr().out
    assert "/a[/b]c, [red]d" in out and "[bold]e[/]" in out


FIRST: dict[str, Any] = {
    "device": "cpu, 2 threads",
    "processor": "AVX2",
    "precision": "32-true",
    "versions": {"torch": "2.14.1", "darts_lite": "1.0"},
}


def test_a_run_tells_all_its_sessions_and_warns_of_a_difference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = {"sessions": [FIRST]}
    assert add_session(summary, dict(FIRST)) == [FIRST]
    assert capsys.readouterr().out == ""
    second = FIRST | {
        "device": "cpu, 1 threads",
        "versions": {"torch": "2.15", "darts_lite": "1.0"},
    }
    assert add_session(summary, second) == [FIRST, second]
    said = capsys.readouterr().out
    assert said.startswith(
        "Warning: the run goes on elsewhere (device: cpu, 2 threads then, cpu, 1 "
    )
    assert "versions.torch: 2.14.1 then, 2.15 now" in said and "not the same bit for bit" in said
    assert said.count("\n") == 1 and "darts_lite" not in said
    assert add_session({"sessions": [FIRST, second]}, FIRST) == [FIRST, second, FIRST]


def test_a_run_of_an_earlier_version_tells_what_it_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {"device": "cpu, 2 threads", "precision": "32-true", "versions": {"torch": "2.14.1"}}
    assert add_session({**before, "seed": 3}, FIRST) == [before, FIRST]
    assert "versions.darts_lite: not told then, 1.0 now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "processes", "said"),
    [
        ({"search_batch_size": 90, "batch_size": 180}, 1, []),
        (
            {"search_batch_size": 91, "batch_size": 181},
            1,
            [
                "a batch of the search is to have 91 images, and there are only 90, so it holds "
                "all; set data.search_batch_size to at most 90",
                "a batch of the retraining is to have 181 images, and there are only 180, so it "
                "holds all; set data.batch_size to at most 180",
            ],
        ),
        (
            {
                "search_batch_size": 225,
                "batch_size": 9000,
                "search_batches_per_epoch": 3,
                "least_batches_per_epoch": 2,
            },
            1,
            ["so it holds each of them 2.5 times", "so it holds each of them 50.0 times"],
        ),
        (
            {"search_batch_size": 60, "search_batches_per_epoch": 3, "batch_size": 180},
            2,
            ["120 images, and there are only 90", "360 images, and there are only 180"],
        ),
    ],
)
def test_batches_larger_than_the_data_are_told(
    settings: dict[str, int], processes: int, said: list[str], digits_root: str
) -> None:
    data = ImageData(root=digits_root, train_images=200, **settings)  # type: ignore[arg-type]
    data.setup("fit")
    search = ArchitectureSearch(SMALL)
    doubts = list(doubt_batches(data, search, True, processes))
    assert len(doubts) == len(said)
    for doubt, words in zip(doubts, said, strict=True):
        assert doubt.startswith("Warning: ") and words in doubt
    assert list(doubt_batches(data, search, False, processes)) == doubts[:1]
    net = Retraining(search.derive())
    assert list(doubt_batches(data, net, False, processes)) == doubts[1:]


def test_what_is_known_before_training_tells_the_session(
    digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits.setup("fit")
    search = ArchitectureSearch(SMALL)
    known = describe_start(quiet_trainer(max_epochs=1), search, digits, RunFolder(tmp_path))
    (session,) = known["sessions"]
    assert session["versions"]["darts_lite"] and session["device"] == known["device"]
    assert "Supernet:  " in capsys.readouterr().out


def test_columns_of_settings_leave_out_the_levels_of_classes() -> None:
    decay = {"class_path": "darts_lite.BetaDecay", "init_args": {"strength": 0.02}}
    settings = {
        "model": {
            "class_path": "darts_lite.ArchitectureSearch",
            "init_args": {
                "space": {"class_path": "darts_lite.mnist_space"},
                "regularizers": [decay],
            },
        },
        "retraining": None,
    }
    assert shorten_settings(settings) == {
        "model": {
            "class": "ArchitectureSearch",
            "space": "mnist_space",
            "regularizers": [{"class": "BetaDecay", "strength": 0.02}],
        },
        "retraining": None,
    }


def test_the_end_tells_how_to_go_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "my logs" / "version_0")
    folder.path.mkdir(parents=True)
    searched = suggest_commands(folder)
    assert searched[2].startswith("fit --config retrain --model.architecture '")
    folder.net.touch()
    trained = suggest_commands(folder)
    assert len(searched) == len(trained) == 3
    photos = tmp_path / "my photos"
    photos.mkdir()
    assert trained[1].endswith("--images PATH")
    with_parts = suggest_commands(folder, ["my_parts"])
    assert with_parts[-1].endswith(
        "--run.imports '[my_parts]'"
    )  # which no shell takes for a pattern
    own = suggest_commands(folder, dataset=str(photos))
    assert own[1].endswith(f"--images '{photos}'")
    assert suggest_commands(folder, dataset="MNIST") == trained
    for command in (*searched, *trained, *own):
        words = shlex.split(command)
        if words[0] in OWN:
            parser().parse_args(words)


def test_a_net_is_trained_on_the_data_it_was_found_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "version_0")
    folder.path.mkdir(parents=True)
    *_, command = suggest_commands(folder, dataset="my photos")
    assert command.endswith("--data.dataset 'my photos'")
    assert len(suggest_commands(folder, dataset=None)) == 2
    assert len(suggest_commands(folder, dataset="a.csv", items="signals")) == 2
