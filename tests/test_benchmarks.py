"""The benchmark commands run, on a small scale."""

import json
from pathlib import Path

import agreement
import depthwise
import planted
import pytest
from runs import SMALL, quiet_trainer

from darts_lite.data import ImageData
from darts_lite.search import ArchitectureSearch


def test_planted_prints_a_row_per_setting(
    found_digits: None, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.main(["--steps", "2", "--rates", "1e-3", "--strengths", "0", "5", "--seeds", "1"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1:3] for row in rows[-2:]] == [[" 0.001 ", " 0 "], [" 0.001 ", " 5 "]]


def test_depthwise_prints_a_row_per_kernel_and_map(capsys: pytest.CaptureFixture[str]) -> None:
    depthwise.main(["--runs", "1"])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[-8:]]
    assert [row[1].strip() for row in rows] == ["3x3", "5x5"] * 4
    assert all(float(row[4]) > 0 for row in rows)


def test_agreement_compares_runs_edge_by_edge(
    digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ArchitectureSearch(SMALL)
    run = quiet_trainer(max_steps=1, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    for seed, winner in enumerate((1, 1, 3)):
        folder = tmp_path / str(seed)
        for alpha in search.supernet.alphas.values():
            alpha.data.zero_()[:, winner] = 1.0
        run.save_checkpoint(folder / "checkpoints" / "last.ckpt")
        (folder / "summary.json").write_text(json.dumps({"seed": seed}))
    agreement.main([str(tmp_path / str(seed)) for seed in range(3)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| cell | edge | seed 0 | seed 1 | seed 2 | agreement |"
    assert len([line for line in lines if line.endswith("2/3 |")]) == 10
    assert "skip_connect | skip_connect | conv_3x3" in lines[2]
    assert lines[-1].startswith("0 of 10 edges agree")
