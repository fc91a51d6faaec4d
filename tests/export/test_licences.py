"""Licences of known data sets; one's own images have none that is known."""

from typing import Any

import pytest

from darts_lite.data.images.datasets import DATASETS
from darts_lite.data.images.image_folders import FOLDER
from darts_lite.export.licences import LICENCES, OWN, find_licence


def data(dataset: str, kind: str = "darts_lite.ImageData") -> dict[str, Any]:
    return {"class_path": kind, "init_args": {"dataset": dataset}}


def test_every_known_data_set_has_an_entry_with_its_source() -> None:
    assert LICENCES.keys() == DATASETS.keys()
    assert all(str(each.source).startswith("https://") for each in LICENCES.values())
    assert find_licence(data("MNIST"), "local files").name == "CC BY-SA 3.0"
    assert find_licence(data("FashionMNIST"), "local files").hub == "mit"


@pytest.mark.parametrize(
    ("told", "source"),
    [
        (data("photos"), f"{FOLDER}photos"),
        (data("MNIST"), f"{FOLDER}MNIST"),  # a folder of this name
        (data("MNIST", "my_parts.Bars"), "drawn"),
        ({"class_path": "my_parts.Bars", "init_args": {}}, "drawn"),
    ],
)
def test_ones_own_images_have_an_unknown_one(told: dict[str, Any], source: str) -> None:
    assert find_licence(told, source) == OWN
    assert OWN.name == "unknown: your own data" and OWN.hub == "unknown"
