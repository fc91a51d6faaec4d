"""Folders of real digits as PNG files."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from run_helpers import FEW_NETS, one_line, some_digits

from darts_lite.cli.lightning_cli import main
from darts_lite.data.images.datasets import Source
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.images.image_folders import LARGEST_IMAGE, find_source, is_folder, scan_folder
from darts_lite.data.images.image_preparation import ImagePreparation


def write_images(folder: Path, first: int, count: int, **how: object) -> None:
    """Real digits, ten of each class in turn, as PNG files in a folder per class."""
    images, labels = some_digits()
    for number in range(first, first + count):
        image = Image.fromarray(images[number].numpy())
        if "mode" in how:
            image = image.convert(str(how["mode"]))
        if "size" in how:
            image = image.resize(how["size"])  # type: ignore[arg-type]
        path = folder / f"digit {int(labels[number])}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def test_channels_size_and_classes_are_those_of_the_images(tmp_path: Path) -> None:
    write_images(tmp_path / "train", 0, 100)
    write_images(tmp_path / "test", 100, 50)
    source = scan_folder(tmp_path)
    assert source[:5] == (1, 28, 10, None, None)
    loaded = source.load(tmp_path, 1.0)
    images, labels = some_digits()
    assert loaded.train_items.shape == (100, 1, 28, 28) and len(loaded.test_labels) == 50
    order = [  # sorted by class, then by the name of the file
        number
        for label in range(10)
        for number in sorted((n for n in range(100) if labels[n] == label), key=str)
    ]
    assert torch.equal(loaded.train_items[:, 0], images[order])
    assert torch.equal(loaded.train_labels, labels[order].long())
    assert not loaded.held_out.chosen and len(loaded.held_out.digests) == 50


def test_without_a_test_folder_a_part_is_kept_for_it(tmp_path: Path) -> None:
    write_images(tmp_path, 0, 120)
    source = scan_folder(tmp_path)
    loaded = source.load(tmp_path, 1.0)
    assert (len(loaded.train_labels), len(loaded.test_labels)) == (100, 20)
    assert loaded.test_labels.bincount().tolist() == [2] * 10
    held = [Image.open(tmp_path / name).tobytes() for name in loaded.held_out.names]
    assert held == [image.numpy().tobytes() for image in loaded.test_items]  # in their order
    again = scan_folder(tmp_path).load(tmp_path, 1.0)
    assert torch.equal(loaded.test_items, again.test_items)


def test_other_sizes_and_colours(tmp_path: Path) -> None:
    write_images(tmp_path / "colour", 0, 60, mode="RGB", size=(40, 30))
    source = scan_folder(tmp_path / "colour")
    assert source[:3] == (3, 30, 10)
    with pytest.warns(UserWarning, match="50 of 50 training images are not square"):
        assert source.load(tmp_path, 1.0).train_items.shape == (50, 3, 30, 30)
    write_images(tmp_path / "large", 0, 60, size=(100, 100))
    source = scan_folder(tmp_path / "large")
    assert source.size == 64 and source.load_as is not None
    with pytest.warns(UserWarning, match="up to 100 pixels .* to 64; set data.image_size to 100"):
        source.load(tmp_path, 1.0)
    source.load_as(ImagePreparation(1, 20))  # a net's size is no choice: nothing is advised
    assert scan_folder(tmp_path / "large", 20).size == 20


def test_normalization_is_measured(tmp_path: Path) -> None:
    write_images(tmp_path, 0, 120, mode="RGB")
    data = ImageData(dataset=str(tmp_path))
    data.setup("fit")
    images = data.items.train_items.double() / 255
    mean, std = data.preparation.mean, data.preparation.std
    assert mean == pytest.approx(images.mean(dim=(0, 2, 3)).tolist(), rel=1e-6)
    assert std == pytest.approx(images.std(dim=(0, 2, 3), correction=0).tolist(), rel=1e-6)
    shown = data.prepare(data.items.train_items)
    assert shown.mean().abs() < 1e-5 and (shown.std() - 1).abs() < 1e-3


@pytest.mark.parametrize("kind", ["nothing", "file", "text", "classes", "size", "named"])
def test_what_is_no_folder_of_images_is_one_line(kind: str, tmp_path: Path) -> None:
    folder, size, name = tmp_path / "images", None, None
    folder.mkdir()
    if kind in ("text", "size"):
        write_images(folder, 0, 120)
    if kind == "file":
        (folder / "a.png").write_bytes(b"no class")
    if kind == "text":
        (folder / "digit 0" / "x.png").write_text("no image")
    if kind == "classes":
        write_images(folder / "train", 0, 20)
        write_images(folder / "test", 20, 5)
    size = {"size": 0, "named": 32}.get(kind)
    name = "MNIST" if kind == "named" else str(folder)
    expected = {"classes": "need the same folders", "size": "1 to 1024", "named": "leave it out"}
    with pytest.raises(
        ValueError, match=expected.get(kind, "not a folder of images|not a readable image")
    ) as error:
        ImageData(dataset=name, image_size=size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("training", "testing"), "folders of folders, testing, training, which are not classes"),
        (("digits",), "folders of folders, digits, which are not classes"),
        (("digits/train", "digits/test"), "folders of folders, digits, which are not classes"),
    ],
)
def test_folders_of_folders_are_no_classes(
    parts: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    for part in parts:
        write_images(tmp_path / part, 0, 20)
    with pytest.raises(ValueError, match=message):
        ImageData(dataset=str(tmp_path))
    if "training" in parts:  # such names are no classes where there are groups either
        with pytest.raises(ValueError, match=message):
            ImageData(dataset=str(tmp_path), group_by="([0-9])")


def test_one_class_is_too_few(tmp_path: Path) -> None:
    write_images(tmp_path, 0, 1)
    with pytest.raises(ValueError, match=r"at least two, and has digit \d; add folders"):
        ImageData(dataset=str(tmp_path))


def test_files_count_as_where_images_are_named(tmp_path: Path) -> None:
    write_images(tmp_path, 0, 120)
    image = Image.fromarray(some_digits()[0][0].numpy())
    for name in ("one.gif", "two.WEBP", "._hidden.png"):
        image.save(tmp_path / "digit 3" / name, "GIF")
    (tmp_path / "digit 3" / "notes.txt").write_text("no image")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    with pytest.warns(UserWarning, match=r"a file in .*digit 3 is left out, notes.txt: it has"):
        source = scan_folder(tmp_path)
    loaded = source.load(tmp_path, 1.0)
    assert source.classes == 10
    assert len(loaded.train_labels) + len(loaded.test_labels) == 122


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, 0, 20)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no images"):
        scan_folder(tmp_path)


def test_folders_that_are_not_read_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "train", 0, 100)
    write_images(tmp_path / "val", 100, 50)
    with pytest.warns(UserWarning, match="also has val, which is not read"):
        source = scan_folder(tmp_path)
    assert len(source.load(tmp_path, 1.0).train_labels) == 84


@pytest.mark.slow
def test_a_run_on_ones_own_images_from_anywhere(
    tmp_path: Path,
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_images(tmp_path / "images" / "train", 0, 200, mode="RGB", size=(24, 24))
    write_images(tmp_path / "images" / "test", 200, 100, mode="RGB", size=(24, 24))
    monkeypatch.chdir(tmp_path)
    short = ["--data.search_batches_per_epoch=8", *FEW_NETS]
    short += ["--retraining.max_epochs=1", "--run.folder=logs", "--data.least_batches_per_epoch=1"]
    main(["fit", "--config", str(configs / "mnist.yaml"), "--data.dataset=images", *short])
    run = tmp_path / "logs" / "mnist" / "version_0"
    assert "Images:    24 x 24 pixels, colour\n" in capsys.readouterr().out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["preparation"]["size"] == 24 and summary["dataset"] == "images"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["init_args"]["image_size"] == 24
    net = run / "net.ckpt"
    monkeypatch.chdir(tmp_path.parent)
    capsys.readouterr()
    main(["test", "--ckpt_path", str(net)])
    assert f"Data: {tmp_path / 'images'}, images in images\n" in capsys.readouterr().out


def test_a_name_stands_for_a_data_set() -> None:
    source = find_source("CIFAR10")
    assert source[:3] == (3, 32, 10) and find_source("CIFAR10", 32)[:3] == source[:3]
    assert not is_folder("CIFAR10")


def test_a_folder_stands_for_its_images(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(6):
            Image.new("RGB", (30, 30), (40 * number, 0, 0)).save(tmp_path / name / f"{number}.png")
    source = find_source(str(tmp_path), 24)
    assert source[:3] == (3, 24, 2) and source.class_names == ("cats", "dogs")
    assert is_folder(str(tmp_path))


def test_a_name_is_taken_before_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MNIST").mkdir()
    assert not is_folder("MNIST")


@pytest.mark.parametrize("size", [0, LARGEST_IMAGE + 1, 32])
def test_a_size_that_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="image_size"):
        find_source("MNIST", size)


def write_classes(folder: Path, **counts: int) -> None:
    """So many real digits in the folder of each class."""
    images = iter(some_digits()[0])
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(next(images).numpy()).save(folder / name / f"{number}.png")


def test_a_class_of_one_image_is_trained_on_and_told(tmp_path: Path) -> None:
    write_classes(tmp_path, a=60, b=60, rare=1)
    data = ImageData(dataset=str(tmp_path))
    with pytest.warns(UserWarning) as caught:
        data.setup("fit")
    told = [str(each.message) for each in caught]
    assert "no test image of rare; their accuracy stays unknown" in told[0]
    assert "only one training image is left of rare: a search learns either" in told[1]
    trained = torch.cat([data.splits["weights"], data.splits["alphas"]])
    assert 2 in data.items.train_labels[trained]


def test_classes_of_one_image_each_are_too_few(tmp_path: Path) -> None:
    write_classes(tmp_path, **{f"class{number}": 1 for number in range(12)})
    with pytest.raises(ValueError, match="has too few images for a test; add images to each class"):
        ImageData(dataset=str(tmp_path))


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_classes(tmp_path, bus=12, train=12)
    source = scan_folder(tmp_path)
    assert source.class_names == ("bus", "train")


@pytest.mark.parametrize("layout", ["", "train"])
def test_an_image_beside_the_classes_is_told(layout: str, tmp_path: Path) -> None:
    write_classes(tmp_path / layout, a=12, b=12)
    Image.new("L", (28, 28)).save(tmp_path / "loose.png")
    (tmp_path / "licence.txt").write_text("no image")
    with pytest.warns(
        UserWarning, match="images in .* itself are left out, loose.png for one, 1 in"
    ):
        scan_folder(tmp_path)


def test_a_name_that_is_no_text_is_refused_at_the_start(tmp_path: Path) -> None:
    write_classes(tmp_path, a=12, b=12)
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(ValueError) as caught:
        ImageData(dataset=str(tmp_path))
    one_line(caught, "udce9' has a name that cannot be printed; rename this folder")
    str(caught.value).encode()


class Many(ImageData):
    """Images of too many classes."""

    def source(self, dataset: str, image_size: int | None) -> Source:
        return find_source("MNIST")._replace(classes=10_000)


def test_thousands_of_classes_are_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="images are of 10000 classes; it must be 2 to 1000"):
        Many()


AS_NOBODY = """
import os, sys, warnings
from PIL import Image
from darts_lite.data.images.datasets import Source
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.file_lists import list_files
from darts_lite.data.images.image_files import IMAGES, read_image, GreyRange
Image.init()
if os.geteuid() == 0:
    os.setuid(65534)  # root may read everything
files = [*list_files([sys.argv[1] + "/a"], IMAGES)]
print(len(files), files[0])
try:
    ImageData(dataset=sys.argv[1])
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_subfolder_without_permission_is_as_a_file_that_cannot_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_classes(folder, a=12, b=12)
        (folder / "a" / "0.png").rename(folder / "a" / "10.png.png")
        (folder / "a" / "00").mkdir()
        folder.chmod(0o755)
        (folder / "a" / "00").chmod(0)
        out = subprocess.check_output([sys.executable, "-c", AS_NOBODY, name], text=True)
        (folder / "a" / "00").chmod(0o755)
    first, second = out.splitlines()
    assert first == f"13 {folder / 'a' / '00'}"
    assert second.startswith(f"{folder / 'a' / '00'} is not a readable image")
