"""The parts of a run's report."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from darts_lite.pipeline import multiply_adds, report, write_summary

SUMMARY: dict[str, Any] = {
    "architecture": "Genotype(normal=[('conv_3x3', 0)])",
    "params": 12345,
    "macs": 678901,
    "test_accuracy": 0.9951,
    "search_seconds": 12.3,
    "retrain_seconds": None,
}


def test_multiply_adds_of_a_net_counted_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),  # 14 * 14 * 4 * 9
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # 14 * 14 * 4 * 9
        nn.Flatten(),
        nn.Linear(14 * 14 * 4, 10),
    ).train()
    assert multiply_adds(net, 28, 1) == 2 * 14 * 14 * 4 * 9 + 14 * 14 * 4 * 10
    assert net.training


def test_counting_changes_no_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    multiply_adds(net, 8, 1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_summary_is_replaced_whole(tmp_path: Path) -> None:
    write_summary(tmp_path, {"test_accuracy": None})
    write_summary(tmp_path, SUMMARY)
    assert json.loads((tmp_path / "summary.json").read_text()) == SUMMARY
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_the_report_shows_the_figures_and_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_summary(tmp_path, SUMMARY)
    report(tmp_path, SUMMARY)
    out = capsys.readouterr().out
    for text in ("12,345", "678,901", "99.51 %", "12 s", "summary.json", str(tmp_path)):
        assert text in out
    assert out.splitlines()[-1].startswith("Files in ")
