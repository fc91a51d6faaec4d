"""`export` writes files beside the checkpoint, and over nothing of a user's own."""

import shutil
from pathlib import Path

import pytest
import torch
from run_helpers import Finished

from darts_lite.cli.main import main
from darts_lite.cli.verbs.export import read_test_images
from darts_lite.export.formats import FORMATS
from darts_lite.export.inference import load_answer
from darts_lite.networks.net import load_weights


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


def with_shifts(checkpoint: Path, folder: Path) -> Path:
    """The same net as if it had been tested with nine shifts."""
    content = torch.load(checkpoint, weights_only=True)
    content["model"]["init_args"]["test_shifts"] = 1
    torch.save(content, folder / "net.ckpt")
    return folder / "net.ckpt"


def test_one_pass_is_exported_unless_shifts_are_asked_for(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_shifts(finished.directory / "net.ckpt", tmp_path)
    words = ["export", str(path), "--to", "safetensors", "--images", "200"]
    main(words)
    said = " ".join(capsys.readouterr().out.split())
    assert "The net was tested with the mean of 9 passes, and the files take one: " in said
    assert " of 200 test images, for a ninth of the work; --test_shifts 1 exports the mean" in said
    assert load_weights(tmp_path / "net.safetensors")[1]["passes"] == 1
    main([*words, "--test_shifts", "1"])
    assert "An answer is the mean of 9 passes" in capsys.readouterr().out
    facts = load_weights(tmp_path / "net.safetensors")[1]
    assert (facts["passes"], facts["test_shifts"]) == (9, 1)
    assert facts["accuracy"]["of"] == "200 test images, asked when the net was exported"


def test_a_run_that_was_tested_otherwise_lends_no_accuracy(
    finished: Finished, tmp_path: Path
) -> None:
    path = with_shifts(finished.directory / "net.ckpt", tmp_path)
    shutil.copy(finished.directory / "summary.json", tmp_path)
    words = ["export", str(path), "--to", "safetensors", "--images", "200"]
    for shifts, images in (("0", 200), ("1", 1000)):
        main([*words, "--test_shifts", shifts])
        facts = load_weights(tmp_path / "net.safetensors")[1]
        assert facts["accuracy"]["images"] == images


def test_a_readme_of_the_users_own_stays(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(finished.directory / "net.ckpt"), "--to", "safetensors"]
    words += ["--images", "1", "--output", str(tmp_path)]
    (tmp_path / "README.md").write_text("mine\n")
    main(words)
    assert "as README.md is yours and stays" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "README.md").read_text() == "mine\n"
    (tmp_path / "README.net.md").write_text("mine, too\n")
    main(words)
    assert "No card is written: README.md and README.net.md" in capsys.readouterr().out


def test_data_of_another_kind_are_refused(finished: Finished) -> None:
    about = load_answer(finished.directory / "net.ckpt")[1]
    about["data"] = {"class_path": "darts_lite.Augmentation", "init_args": {}}
    with pytest.raises(ValueError, match="darts_lite.Augmentation, which is not an ImageData"):
        read_test_images(about, 1)
