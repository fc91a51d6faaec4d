"""Files for other programs, each asked in its own runtime."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_helpers import Finished

from darts_lite.cli.export import read_test_pixels
from darts_lite.cli.main import main
from darts_lite.export.formats import FORMATS, export
from darts_lite.export.inference import load_answer


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", FORMATS)
def test_each_file_answers_as_the_net_does(
    name: str, finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "litert":
        pytest.importorskip("litert_torch", reason="the extra tensorflow is not installed")
    words = ["--to", name, "--output", str(tmp_path), "--images", "1000"]
    main(["export", str(finished.directory / "net.ckpt"), *words])
    (path,) = tmp_path.iterdir()
    assert path.name == f"net{FORMATS[name].ending}"
    assert "1,000 images, same classes" in capsys.readouterr().out


def test_a_file_that_answers_otherwise_is_not_kept(finished: Finished, tmp_path: Path) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    pixels = read_test_pixels(about, 20)
    path = tmp_path / "net.safetensors"
    other = replace(about["preparation"], mean=(0.5,))
    wrong = {**about, "preparation": other}  # what the file tells, and not what the net does
    path.write_text("the one before")
    with pytest.raises(ValueError, match=r"does not answer as the net does, and was not kept"):
        export("safetensors", net, wrong, pixels, path)
    assert path.read_text() == "the one before" and [*tmp_path.iterdir()] == [path]
    assert export("safetensors", net, about, pixels, path) == 0.0
    assert torch.isfinite(pixels).all()
