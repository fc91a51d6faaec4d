"""What a name and a folder stand for."""

from pathlib import Path

import pytest
from PIL import Image

from darts_lite.sources import LARGEST_IMAGE, find_source, is_folder


def test_a_name_stands_for_a_data_set() -> None:
    source = find_source("CIFAR10")
    assert source[:3] == (3, 32, 10) and find_source("CIFAR10", 32)[:3] == source[:3]
    assert not is_folder("CIFAR10")


def test_a_folder_stands_for_its_images(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(6):
            Image.new("RGB", (30, 20), (40 * number, 0, 0)).save(tmp_path / name / f"{number}.png")
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
