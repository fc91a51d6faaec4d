"""Files of drawings."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.files import render, save
from darts_lite.space.cells.architecture import ARCHITECTURES


def test_files_by_their_ending(tmp_path: Path) -> None:
    figure = draw_architecture(ARCHITECTURES["DARTS_V1"])
    save(figure, tmp_path / "new" / "cell.png")
    save(figure, str(tmp_path / "cell.svg"))
    assert (tmp_path / "new" / "cell.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "cell.svg").read_text()
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        save(figure, tmp_path / "cell.pdf")


def test_a_figure_is_on_white() -> None:
    figure = Figure(facecolor="black")
    assert b"fill: #ffffff" in render(figure, "svg") and render(figure)[1:4] == b"PNG"
