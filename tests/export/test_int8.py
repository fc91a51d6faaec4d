"""Nets in whole numbers of 8 bits."""

from pathlib import Path

import onnx
import pytest
from run_helpers import Finished

from darts_lite.cli.main import main


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_onnx_in_int8_is_asked_for_all_test_images(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, place = str(finished.directory / "net.ckpt"), ["--output", str(tmp_path)]
    words = ["export", net, "--to", "onnx", "--int8", *place, "--images", "50"]
    main([*words, "--most_drop", "100"])
    said = capsys.readouterr().out
    assert "In int8, on 1,000 test images" in said
    row = next(line for line in said.splitlines() if "net_int8.onnx" in line)
    right, floats = (float(cell.strip(" %")) for cell in row.split("│")[2:5:2])
    assert floats == pytest.approx(100 * finished.summary["test_accuracy"], abs=0.011)
    card = (tmp_path / "README.md").read_text()
    size = (tmp_path / "net_int8.onnx").stat().st_size
    cells = f"`net_int8.onnx` | {size:,} | - | {right:.2f} % | - | {floats:.2f} %"
    assert "In whole numbers" in card and f"| {cells} |" in card
    model = onnx.load(tmp_path / "net_int8.onnx")
    types = {one.data_type for one in model.graph.initializer}
    assert onnx.TensorProto.INT8 in types
    assert "class_names" in {entry.key for entry in model.metadata_props}
    before = (tmp_path / "net_int8.onnx").read_bytes()
    if right < floats:
        with pytest.raises(SystemExit):
            main([*words, "--most_drop", "0"])
        assert "was not kept" in capsys.readouterr().err
    assert (tmp_path / "net_int8.onnx").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--int8"], "--to onnx or litert"), (["--to", "pt2", "--int8"], "--to onnx or litert")],
)
def test_formats_without_int8_are_told(
    words: list[str], said: str, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["export", str(finished.directory / "net.ckpt"), *words])
    assert said in capsys.readouterr().err
