"""Tells under which licences the known data sets are handed on, and who says so."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from darts_lite.data.images.image_data import ImageData
from darts_lite.data.images.image_folders import FOLDER
from darts_lite.storage.components import class_path


class Licence(NamedTuple):
    """A licence of images: its name, what Hugging Face's Hub calls it, and where it is told."""

    name: str
    hub: str
    source: str | None


NONE = "none is told"
LICENCES: Mapping[str, Licence] = {
    "MNIST": Licence("CC BY-SA 3.0", "cc-by-sa-3.0", "https://keras.io/api/datasets/mnist"),
    "FashionMNIST": Licence("MIT", "mit", "https://github.com/zalandoresearch/fashion-mnist"),
    "KMNIST": Licence("CC BY-SA 4.0", "cc-by-sa-4.0", "https://github.com/rois-codh/kmnist"),
    "EMNIST": Licence(
        f"{NONE}; made of NIST's Special Database 19",
        "unknown",
        "https://www.nist.gov/itl/products-and-services/emnist-dataset",
    ),
    "QMNIST": Licence("BSD 3-Clause", "bsd-3-clause", "https://github.com/facebookresearch/qmnist"),
    "CIFAR10": Licence(NONE, "unknown", "https://www.cs.toronto.edu/~kriz/cifar.html"),
    "CIFAR100": Licence(NONE, "unknown", "https://www.cs.toronto.edu/~kriz/cifar.html"),
}
"""The data sets of `DATASETS`; sources as copies of 2026-11 have them."""
OWN = Licence("unknown: your own data", "unknown", None)


def find_licence(data: Mapping[str, Any], data_source: str) -> Licence:
    """Returns the licence of a net's images.

    Args:
        data: Class and arguments of the data, as checkpoints keep them.
        data_source: Source of the images in words.
    """
    # A folder of one's own may have the name of a data set.
    named = data["class_path"] == class_path(ImageData) and not data_source.startswith(FOLDER)
    return LICENCES.get(str(data["init_args"].get("dataset")), OWN) if named else OWN
