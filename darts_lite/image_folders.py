"""A user's own images, in a folder for each class.

``<folder>/train/<class>/…`` and ``<folder>/test/<class>/…``; or ``<folder>/<class>/…``, of which
every sixth image is then kept for the test.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets import ImageFolder

from darts_lite.datasets import LoadedImages, Source, stratified_order
from darts_lite.image_files import is_grey, middle_of, opened, pixels_of

LARGEST_SIDE = 64
"""Pixels to which larger images are reduced where no size is given."""
TEST_SHARE = 6
"""One image of so many is kept for the test where there is no folder of test images."""

File = tuple[str, int]
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
        parts = training.samples, test.samples
    else:
        parts = _held_out(training.samples)
    if named.is_dir() and (others := sorted(set(_folders(folder)) - {"train", "test"})):
        warnings.warn(
            f"{folder} has also {', '.join(others)}, not read: validation images are a part of "
            "train, those of the test are in test",
            stacklevel=2,
        )
    headers = [_header(path) for path, _ in training.samples]
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


def _folders(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")


def _listed(folder: Path) -> ImageFolder:
    try:
        found = ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} is no folder of images: it needs one folder per class, each with at least "
            f"one image ({error})"
        ) from None
    if all(Path(path).parent.parent != folder for path, _ in found.samples):
        raise ValueError(
            f"{folder} has folders of folders, {', '.join(found.classes[:3])}, which are no "
            "classes; give <folder>/train/<class>/... and <folder>/test/<class>/..., or "
            "<folder>/<class>/..."
        )
    if len(found.classes) < 2:
        raise ValueError(
            f"{folder} has one folder, {found.classes[0]}; give one for each class, two at least"
        )
    return found


def _held_out(files: Sequence[File]) -> tuple[list[File], list[File]]:
    """All files but one of `TEST_SHARE`, and those; stratified, and always the same."""
    order = stratified_order(torch.tensor([label for _, label in files]), seed=0).tolist()
    count = max(1, len(files) // TEST_SHARE)
    return [files[i] for i in order[count:]], [files[i] for i in order[:count]]


def _header(path: str) -> tuple[int, bool]:
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


def _pixels(path: str, channels: int, side: int) -> Tensor:
    """uint8 ``(channels, side, side)``."""
    return middle_of(pixels_of(path), channels, side).mul(255).round().to(torch.uint8)
