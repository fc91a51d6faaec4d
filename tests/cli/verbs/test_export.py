"""`export` writes files beside the checkpoint, and over nothing of a user's own."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from run_helpers import Finished, mnist_contents, some_digits, write_files

from darts_lite.cli.main import main
from darts_lite.cli.verbs.export import export_run, load_items
from darts_lite.export.formats import FORMATS
from darts_lite.export.inference import load_answer
from darts_lite.networks.net import load_weights
from darts_lite.runs.settings import RunSettings
from darts_lite.storage.run_folder import RunFolder


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "c", "--test_shifts", "1"], "an int8 LiteRT file takes one pass"),
        (["--to", "onnx", "--int8", "--most_drop=nan"], "must be a number of 0 to 100, got 'nan'"),
        (["--to", "onnx", "--int8", "--most_drop=-1"], "must be a number of 0 to 100, got '-1'"),
    ],
)
def test_what_no_file_can_keep_is_refused(
    words: list[str], told: str, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["export", str(finished.directory / "net.ckpt"), *words])
    assert told in capsys.readouterr().err


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


@pytest.mark.slow
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
    assert " of 200 test images, for 1/9 of the work; --test_shifts 1 exports the mean" in said
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
    with pytest.raises(ValueError, match="darts_lite.Augmentation, whose items tell no classes"):
        load_items(about)


def write_classes(folder: Path, names: Sequence[str]) -> None:
    """Six digits in the folder of each class, whatever they show."""
    for number, name in enumerate(sorted(6 * [*names])):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(some_digits()[0][number].numpy()).save(folder / name / f"{number}.png")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abcd", "knows images of 1 channels and 10 classes, these have 1 and 4; set data.dataset"),
        ("abcdefghij", "has the classes 0, 1, 2, 3, 4, 5, 6, 7, 8 ..., these images have a, b, c"),
    ],
)
def test_images_of_other_classes_are_refused_as_in_a_test(
    names: str,
    message: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    torch.save(content | {"class_names": [*"0123456789"]}, tmp_path / "net.ckpt")
    write_classes(tmp_path / "photos", names)
    words = ["export", str(tmp_path / "net.ckpt"), "--to", "safetensors"]
    with pytest.raises(SystemExit):
        main([*words, f"--data.dataset={tmp_path / 'photos'}"])
    assert message in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"net.ckpt", "photos"}


def test_an_accuracy_stands_under_the_name_of_its_images(
    finished: Finished, tmp_path: Path
) -> None:
    write_files(tmp_path, "KMNIST", mnist_contents())
    words = ["export", str(with_shifts(finished.directory / "net.ckpt", tmp_path))]
    words += ["--to", "safetensors", "--data.dataset=KMNIST", f"--data.root={tmp_path}"]
    with pytest.warns(UserWarning, match="trained on MNIST, and these are images of KMNIST"):
        main(words)
    _, front, text = (tmp_path / "README.md").read_text().split("---\n", 2)
    (result,) = yaml.safe_load(front)["model-index"][0]["results"]
    assert result["dataset"]["name"] == "KMNIST"
    assert "These are images of KMNIST, and the net was trained on others." in text
    told = load_weights(tmp_path / "net.safetensors")[1]["accuracy"]
    assert (told["dataset"], told["data_source"]) == ("KMNIST", "local files")


def test_files_of_an_earlier_export_stay_on_the_card(finished: Finished, tmp_path: Path) -> None:
    words = ["export", str(finished.directory / "net.ckpt"), "--images", "1"]
    words += ["--output", str(tmp_path), "--to"]
    main([*words, "safetensors"])
    assert "From before" not in (tmp_path / "README.md").read_text()
    (tmp_path / "net_int8.h").touch()
    main([*words, "python"])
    text = (tmp_path / "README.md").read_text()
    told = "not written or tried together with this card: `net.safetensors`, `net_int8.h`."
    assert told in text
    assert "| `net.py` |" in text


def test_a_run_exports_what_it_is_asked_for(finished: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "version_0"
    shutil.copytree(finished.directory, folder, ignore=shutil.ignore_patterns("events*"))
    root = finished.data[1]
    export_run(RunFolder(folder), RunSettings(export=("pt2",)), root)
    assert (folder / "net.pt2").exists() and not (folder / "net.onnx").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [("[pt3]", "unknown kind of file 'pt3'"), ("[pt2,int8]", "--to onnx or litert")],
)
def test_what_a_run_cannot_export_ends_it_before_it_begins(
    asked: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", "mnist", f"--run.export={asked}", f"--run.folder={tmp_path}"])
    assert said in capsys.readouterr().err and not [*tmp_path.iterdir()]
