"""Files for other programs, each asked in its own runtime."""

import shutil
from pathlib import Path

import pytest
import torch
from runs import Finished

from darts_lite.answer import load_answer
from darts_lite.commands import main
from darts_lite.exporting import FORMATS, export, pixels_of_test


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
    pixels = pixels_of_test(about, 20)
    path = tmp_path / "net.safetensors"
    wrong = {**about, "mean": [0.5]}  # what the file tells, and not what the net does
    path.write_text("the one before")
    with pytest.raises(ValueError, match=r"does not answer as the net does, and was not kept"):
        export("safetensors", net, wrong, pixels, path)
    assert path.read_text() == "the one before" and [*tmp_path.iterdir()] == [path]
    assert export("safetensors", net, about, pixels, path) == 0.0
    assert torch.isfinite(pixels).all()


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
    assert "net.py is there already and was not exported" in capsys.readouterr().err
    assert code.read_text() == "mine = 1\n"
    code.unlink()
    for _ in range(2):  # what was exported may be exported again
        main([*words, "--output", str(tmp_path)])


def test_data_of_another_kind_are_refused(finished: Finished) -> None:
    about = load_answer(finished.directory / "net.ckpt")[1]
    about["data"] = {"class_path": "darts_lite.Augmentation", "init_args": {}}
    with pytest.raises(ValueError, match="trained on darts_lite.Augmentation, which is no ImageD"):
        pixels_of_test(about, 1)
