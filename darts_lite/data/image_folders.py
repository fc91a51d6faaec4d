"""Custom images, in one folder per class.

The layout is ``<folder>/train/<class>/…`` and ``<folder>/test/<class>/…``; or
``<folder>/<class>/…``, where a sixth of the images is kept for the test.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from darts_lite.data.datasets import DATASETS, LoadedImages, Source, find_named, stratified_order
from darts_lite.data.image_files import crop_middle, is_grey, list_files, open_image, read_pixels

LARGEST_IMAGE = 1024  # largest side of an image, in pixels
LARGEST_SIDE = 64  # side in pixels to which larger images are reduced if no size is given
TEST_SHARE = 6  # number of images per test image where there is no folder of test images

File = tuple[Path, int]  # path and class of an image


def scan_folder(folder: Path, size: int | None = None) -> Source:
    """Reads the headers of the images in a folder; their pixels are read when they are loaded.

    Images have one channel if all are grey, else three. The middle is cut out of images that are
    not square.

    Args:
        folder: A folder with the module's layout; ValueError if it has another, or other files.
        size: Height and width to which images are brought; by default the most common shorter
            side, at most `LARGEST_SIDE`.
    """
    named = folder / "train"
    classes, training = _list_images(named if named.is_dir() else folder)
    if named.is_dir() and (folder / "test").is_dir():
        test_classes, test = _list_images(folder / "test")
        if test_classes != classes:
            raise ValueError(
                f"{folder / 'test'} has the classes {test_classes}, {named} has "
                f"{classes}; both need the same folders"
            )
        parts = training, test
    else:
        parts = _hold_out(training)
    others = [name for name in _list_folders(folder) if name not in ("train", "test")]
    if named.is_dir() and others:
        warnings.warn(
            f"{folder} also has {', '.join(others)}, which is not read: validation images are a "
            "part of train, test images are in test",
            stacklevel=2,
        )
    headers = [_read_header(path) for path, _ in training]
    channels = 1 if all(grey for _, grey in headers) else 3
    common = Counter(side for side, _ in headers).most_common(1)[0][0]
    side = min(common, LARGEST_SIDE) if size is None else size
    return Source(
        channels=channels,
        size=side,
        classes=len(classes),
        mean=None,
        std=None,
        load=partial(_load, parts, channels, side, str(folder)),
        class_names=tuple(classes),
    )


def _list_images(folder: Path) -> tuple[list[str], list[File]]:
    """Returns the classes and the files of a folder."""
    classes = _list_folders(folder)
    files = [(path, k) for k, name in enumerate(classes) for path in list_files([folder / name])]
    if files and all(path.parent.parent != folder for path, _ in files):
        raise ValueError(
            f"{folder} has folders of folders, {', '.join(classes[:3])}, which are not "
            "classes; give <folder>/train/<class>/... and <folder>/test/<class>/..., or "
            "<folder>/<class>/..."
        )
    if len(classes) < 2:
        raise ValueError(
            f"{folder} is not a folder of images: it needs one folder per class, at least two, "
            f"and has {', '.join(classes) or 'none'}"
        )
    return classes, files


def _list_folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")


def _hold_out(files: Sequence[File]) -> tuple[list[File], list[File]]:
    """Splits files into training and one test file in `TEST_SHARE`, stratified, always alike."""
    order = stratified_order(torch.tensor([label for _, label in files]), seed=0).tolist()
    count = max(1, len(files) // TEST_SHARE)
    return [files[i] for i in order[count:]], [files[i] for i in order[:count]]


def _read_header(path: Path) -> tuple[int, bool]:
    """Returns the shorter side in pixels, and whether the image is grey."""
    with open_image(path) as image:
        return min(image.size), is_grey(image)


def _load(
    parts: Sequence[Sequence[File]], channels: int, side: int, folder: str, *_: object
) -> LoadedImages:
    train, test = (_load_files(files, channels, side) for files in parts)
    return LoadedImages(*train, *test, f"images in {folder}")


def _load_files(files: Sequence[File], channels: int, side: int) -> tuple[Tensor, Tensor]:
    """Reads the middles of images as uint8 ``(N, channels, side, side)``, and their labels."""
    middles = (crop_middle(read_pixels(path), channels, side) for path, _ in files)
    images = [middle.mul(255).round().to(torch.uint8) for middle in middles]
    return torch.stack(images), torch.tensor([label for _, label in files])


def find_source(dataset: str, image_size: int | None = None) -> Source:
    """Returns the data set with this name, or the images in the folder with this path.

    Raises ValueError if there is neither, or the size does not fit.
    """
    if image_size is not None and not 1 <= image_size <= LARGEST_IMAGE:
        raise ValueError(f"image_size must be 1 to {LARGEST_IMAGE} pixels, got {image_size}")
    if is_folder(dataset):
        return scan_folder(Path(dataset), image_size)
    source = find_named(dataset)
    if image_size not in (None, source.size):
        raise ValueError(
            f"images of {dataset} have {source.size} pixels a side, and image_size is for images "
            "in folders; leave it out"
        )
    return source


def is_folder(dataset: str) -> bool:
    """Returns whether this is a folder of images and not the name of a data set."""
    return dataset not in DATASETS and Path(dataset).is_dir()
