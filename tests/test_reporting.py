"""What a run tells of itself."""

from pathlib import Path
from typing import Any

import pytest

from darts_lite.reporting import report

SUMMARY: dict[str, Any] = {
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
    report(tmp_path, SUMMARY)
    out = capsys.readouterr().out
    for text in ("12,345", "678,901", "99.51 %", "12 s", "summary.json", str(tmp_path)):
        assert text in out
    assert out.splitlines()[-1].startswith("Files in ")
