"""What a run tells of itself."""

from pathlib import Path
from typing import Any

import pytest
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.image_data import ImageData
from darts_lite.runs.reporting import describe_start, report, shorten_settings
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
    assert out.splitlines()[-1].startswith("Files in ")


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


@pytest.mark.parametrize(("warmup", "warned"), [(0.5, False), (1.0, True), (1.5, True)])
def test_a_search_that_never_moves_its_alphas_says_so(
    warmup: float,
    warned: bool,
    digits: ImageData,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digits.setup("fit")
    search = ArchitectureSearch(SMALL, warmup_epochs=warmup)
    describe_start(quiet_trainer(max_epochs=1), search, digits, RunFolder(tmp_path))
    said = capsys.readouterr().out
    assert ("the alphas are never moved" in said) == warned
    assert "warmup_epochs" in said or not warned


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
