"""Runs of an earlier version, before the modules lay in folders, are read and gone on with.

`before/` holds a finished run, the interrupted half of another one, and what that version said of
both. The numbers are those of one machine: another one may round otherwise.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from darts_lite.cli.main import main
from darts_lite.storage.run_folder import RunFolder

HERE = Path(__file__).parent / "before"
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text())
ROUNDING = 1e-4


@pytest.fixture(autouse=True)
def among_its_files(tmp_path: Path, found_digits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(HERE / "whole", tmp_path / "whole")
    shutil.copytree(HERE / "half", tmp_path / "half")
    monkeypatch.chdir(tmp_path / "whole")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "whole" / "logs" / "quick" / "version_0")


def test_its_nets_and_supernets_are_as_good(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = {
        "test": ("test", run.net),
        "validate_net": ("validate", run.net),
        "validate_search": ("validate", run.checkpoint("search")),
    }
    for name, (verb, checkpoint) in calls.items():
        main([verb, "--ckpt_path", str(checkpoint), "--trainer.accelerator=cpu"])
        metrics = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        known = {figure: metrics[figure] for figure in EXPECTED[name]}
        assert known == pytest.approx(EXPECTED[name], abs=ROUNDING), name


def test_its_net_predicts_the_same(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", "--ckpt_path", str(run.net), "--trainer.accelerator=cpu"])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == EXPECTED["predict"][0]
    for line, expected in zip(lines, EXPECTED["predict"][1:], strict=False):
        (*answer, probability), (*then, probability_then) = line.split(","), expected.split(",")
        assert answer == then
        assert float(probability) == pytest.approx(float(probability_then), abs=ROUNDING)


@pytest.mark.parametrize(
    ("name", "words"),
    [("derive", []), ("skip_limit", ["--rule", "{class_path: SkipLimit, init_args: {limit: 1}}"])],
)
def test_its_shares_stand_for_the_same(
    name: str, words: list[str], run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["derive", str(run.checkpoint("search")), *words])
    assert capsys.readouterr().out == EXPECTED[name]


def test_it_is_exported_drawn_and_compared(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["export", str(run.net), "--output", str(tmp_path / "exported")])
    said = capsys.readouterr().out
    assert said.count(" images, same classes, within ") == len(EXPECTED["export"])
    main(["plot", str(run), "--output", str(tmp_path / "drawn")])
    drawn = capsys.readouterr().out.split()
    assert [Path(name).name for name in drawn] == EXPECTED["plot"]
    main(["compare", str(run)])
    assert f"{100 * EXPECTED['test']['test/accuracy']:.2f}" in capsys.readouterr().out


@pytest.mark.slow
def test_its_interrupted_half_goes_on(tmp_path: Path) -> None:
    os.chdir(tmp_path / "half")
    words = ["--run.folder", "logs", "--run.save_every_steps", "2", "--run.resume", "auto"]
    main(["fit", "--config", str(HERE / "quick.yaml"), *words])
    summary = json.loads((tmp_path / "half/logs/quick/version_0/summary.json").read_text())
    expected = EXPECTED["resumed_summary"]
    assert summary["architecture"] == expected["architecture"]
    assert summary["params"] == expected["params"] and summary["macs"] == expected["macs"]
    assert summary["test_loss"] == pytest.approx(expected["test_loss"], rel=0.05)
