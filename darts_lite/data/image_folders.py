"""A user's own images, in a folder for each class.

``<folder>/train/<class>/…`` and ``<folder>/test/<class>/…``; or ``<folder>/<class>/…``, of which
every sixth image is then kept for the test.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from darts_lite.data.datasets import DATASETS, LoadedImages, Source, named_source, stratified_order
from darts_lite.data.image_files import files_in, is_grey, middle_of, opened, pixels_of

LARGEST_IMAGE = 1024
"""Most pixels of a side."""

LARGEST_SIDE = 64
"""Pixels to which larger images are reduced where no size is given."""
TEST_SHARE = 6
"""One image of so many is kept for the test where there is no folder of test images."""

File = tuple[Path, int]
"""Path and class of an image."""


def folder_source(folder: Path, size: int | None = None) -> Source:
    """Images in folders, of which the headers are read here, and the pixels when they are loaded.

    They have one channel where all are grey, else three. Images that are not square are cut to
    their middle.

    Args:
        folder: See above.
        size: Height and width to which images are brought. When not given it is the most common
            shorter side, at most `LARGEST_SIDE`.

    Raises:
        ValueError: if there are not two classes at least, or a file is no image.
    """
    named = folder / "train"
    training = _listed(named if named.is_dir() else folder)
    if named.is_dir() and (folder / "test").is_dir():
        test = _listed(folder / "test")
        if test.classes != training.classes:
            raise ValueError(
                f"{folder / 'test'} has the classes {test.classes}, {named} has "
                f"{training.classes}; both need the same folders"
            )
        parts = training.files, test.files
    else:
        parts = _held_out(training.files)
    if named.is_dir() and (others := [x for x in _folders(folder) if x not in ("train", "test")]):
        warnings.warn(
            f"{folder} has also {', '.join(others)}, not read: validation images are a part of "
            "train, those of the test are in test",
            stacklevel=2,
        )
    headers = [_header(path) for path, _ in training.files]
    channels = 1 if all(grey for _, grey in headers) else 3
    common = Counter(side for side, _ in headers).most_common(1)[0][0]
    side = min(common, LARGEST_SIDE) if size is None else size
    return Source(
        channels=channels,
        size=side,
        classes=len(training.classes),
        mean=None,
        std=None,
        load=partial(_load, parts, channels, side, str(folder)),
        class_names=tuple(training.classes),
    )


class Listed(NamedTuple):
    """The images of a folder of classes."""

    classes: list[str]
    files: list[File]


def _listed(folder: Path) -> Listed:
    classes = _folders(folder)
    files = [(path, k) for k, name in enumerate(classes) for path in files_in([folder / name])]
    if files and all(path.parent.parent != folder for path, _ in files):
        raise ValueError(
            f"{folder} has folders of folders, {', '.join(classes[:3])}, which are no "
            "classes; give <folder>/train/<class>/... and <folder>/test/<class>/..., or "
            "<folder>/<class>/..."
        )
    if len(classes) < 2:
        raise ValueError(
            f"{folder} is no folder of images: it needs one folder for each class, two at least, "
            f"and has {', '.join(classes) or 'none'}"
        )
    return Listed(classes, files)


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")


def _held_out(files: Sequence[File]) -> tuple[list[File], list[File]]:
    """All files but one of `TEST_SHARE`, and those; stratified, and always the same."""
    order = stratified_order(torch.tensor([label for _, label in files]), seed=0).tolist()
    count = max(1, len(files) // TEST_SHARE)
    return [files[i] for i in order[count:]], [files[i] for i in order[:count]]


def _header(path: Path) -> tuple[int, bool]:
    """Shorter side in pixels, and whether the image is grey."""
    with opened(path) as image:
        return min(image.size), is_grey(image)


def _load(
    parts: Sequence[Sequence[File]],
    channels: int,
    side: int,
    folder: str,
    root: Path,
    download_seconds: float,
) -> LoadedImages:
    (train, train_labels), (test, test_labels) = (
        (
            torch.stack([_pixels(path, channels, side) for path, _ in files]),
            torch.tensor([label for _, label in files]),
        )
        for files in parts
    )
    return LoadedImages(train, train_labels, test, test_labels, f"images in {folder}")


def _pixels(path: Path, channels: int, side: int) -> Tensor:
    """uint8 ``(channels, side, side)``."""
    return middle_of(pixels_of(path), channels, side).mul(255).round().to(torch.uint8)


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
