"""What the name of a data set or the path of a folder stands for."""

from pathlib import Path

from darts_lite.datasets import DATASETS, Source, named_source
from darts_lite.image_folders import folder_source

LARGEST_IMAGE = 1024
"""Most pixels of a side."""


def find_source(dataset: str, image_size: int | None = None) -> Source:
    """What a name or the path of a folder stands for.

    Raises:
        ValueError: if it is neither, or the size does not fit.
    """
    if image_size is not None and not 1 <= image_size <= LARGEST_IMAGE:
        raise ValueError(f"image_size must be 1 to {LARGEST_IMAGE} pixels, got {image_size}")
    if is_folder(dataset):
        return folder_source(Path(dataset), image_size)
    source = named_source(dataset)
    if image_size not in (None, source.size):
        raise ValueError(
            f"images of {dataset} have {source.size} pixels a side, and image_size is for images "
            "in folders; leave it out"
        )
    return source


def is_folder(dataset: str) -> bool:
    """Whether this is a folder of images and not the name of a data set."""
    return dataset not in DATASETS and Path(dataset).is_dir()
