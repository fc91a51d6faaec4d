"""`export` writes files beside the checkpoint, and over nothing of a user's own."""

import shutil
from pathlib import Path

import pytest
import torch
from run_helpers import Finished

from darts_lite.cli.export import read_test_pixels
from darts_lite.cli.main import main
from darts_lite.export.formats import FORMATS
from darts_lite.export.inference import load_answer


def test_what_is_not_installed_is_told_before_anything_is_done(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    needing = FORMATS["litert"]._replace(needs=("a_module_that_nobody_has",))
    monkeypatch.setitem(FORMATS, "litert", needing)
    words = ["export", str(finished.directory / "net.ckpt"), "--to", "pt2", "litert"]
    with pytest.raises(SystemExit):
        main([*words, "--output", str(tmp_path)])
    told = (
        "not installed (a_module_that_nobody_has); install this package with its extra tensorflow"
    )
    assert told in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_one_image_suffices_and_the_data_may_have_moved(
    finished: Finished, digits_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = shutil.copytree(digits_root, tmp_path / "moved")
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    content["data"]["init_args"] |= {"root": "/nowhere", "train_images": 3000}
    torch.save(content, tmp_path / "net.ckpt")
    words = ["export", str(tmp_path / "net.ckpt"), "--to", "pt2", "--images", "1"]
    main([*words, f"--data.root={moved}", "--output", str(tmp_path)])
    assert "1 images, same classes" in capsys.readouterr().out
    (tmp_path / "net.pt2").unlink()
    (tmp_path / "net.pt2").mkdir()
    with pytest.raises(SystemExit):
        main([*words, f"--data.root={moved}", "--output", str(tmp_path)])
    assert "net.pt2, which is a folder" in capsys.readouterr().err


def test_code_of_a_users_own_is_not_overwritten(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(finished.directory / "net.ckpt"), "--to", "python", "--images", "1"]
    (code := tmp_path / "net.py").write_text("mine = 1\n")
    with pytest.raises(SystemExit):
        main([*words, "--output", str(tmp_path)])
    assert "net.py exists and was not exported" in capsys.readouterr().err
    assert code.read_text() == "mine = 1\n"
    code.unlink()
    for _ in range(2):  # what was exported may be exported again
        main([*words, "--output", str(tmp_path)])


def test_data_of_another_kind_are_refused(finished: Finished) -> None:
    about = load_answer(finished.directory / "net.ckpt")[1]
    about["data"] = {"class_path": "darts_lite.Augmentation", "init_args": {}}
    with pytest.raises(ValueError, match="darts_lite.Augmentation, which is not an ImageData"):
        read_test_pixels(about, 1)
