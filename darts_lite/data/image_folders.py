"""Custom images, in one folder per class.

The layout is ``<folder>/train/<class>/…`` and ``<folder>/test/<class>/…``; or
``<folder>/<class>/…``, where a sixth of the images is kept for the test.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from darts_lite.data.class_balance import list_names
from darts_lite.data.datasets import DATASETS, LoadedImages, Source, find_named
from darts_lite.data.foreground import FIGURE
from darts_lite.data.image_files import (
    HeldOut,
    digest_file,
    is_deep,
    is_grey,
    list_endings,
    list_files,
    measure_range,
    open_image,
)
from darts_lite.data.preparation import LARGEST_IMAGE, Preparation
from darts_lite.data.splits import hold_out, stratified_order

FOLDER = "images in "  # how the source of images of a folder begins
LARGEST_SIDE = 64  # side in pixels to which larger images are reduced if no size is given
TEST_SHARE = 6  # number of images per test image where there is no folder of test images

File = tuple[Path, int]  # path and class of an image


class Header(NamedTuple):
    """What is known of an image file before its pixels are read."""

    width: int
    height: int
    grey: bool
    deep: bool  # whether grey values have more than eight bits


@dataclass(frozen=True)
class FolderImages:
    """The image files of a folder, and how they are prepared unless a net says otherwise."""

    folder: Path
    train: Sequence[File]
    test: Sequence[File]
    headers: Sequence[Header]  # of the training images
    classes: Sequence[str]
    preparation: Preparation
    size: int | None  # to which images are to be brought; None if nobody asked for one
    chosen: bool  # whether the test images were chosen, and have no folder of their own

    def load(self, *_: object) -> LoadedImages:
        """Reads all images; warns if they are reduced to a size that nobody asked for."""
        largest, side = max(min(each[:2]) for each in self.headers), self.preparation.size
        if largest > side and self.size is None:
            warnings.warn(
                f"images in {self.folder} of up to {largest} pixels a side are reduced to {side}; "
                f"set data.image_size to {min(largest, LARGEST_IMAGE)} to keep them, or to {side}",
                stacklevel=2,
            )
        known = zip(self.train, self.headers, strict=True)
        greys = measure_range(path for (path, _), header in known if header.deep)
        return self.load_as(replace(self.preparation, greys=greys))

    def load_as(self, preparation: Preparation, tested: Sequence[str] = ()) -> LoadedImages:
        """Reads all images, prepared as those of a trained net; warns of what is lost.

        Args:
            preparation: How they are prepared.
            tested: Digests of the files with which the net was tested. Where the test images have
                no folder of their own, these are taken again, and all others count as training
                images. Raises ValueError if one is gone.
        """
        files = self._keep(tested) if self.chosen and tested else self
        for doubt in files._doubt(cut_out=preparation.figure is not None):
            warnings.warn(f"{self.folder}: {doubt}", stacklevel=2)
        train, test = (_load_files(part, preparation) for part in (files.train, files.test))
        source, held = f"{FOLDER}{self.folder.name}", files._list_held_out()
        return LoadedImages(*train, *test, source, preparation.greys, held)

    def _list_held_out(self) -> HeldOut:
        names = sorted(path.relative_to(self.folder).as_posix() for path, _ in self.test)
        return HeldOut(tuple(names), tuple(digest_file(path) for path, _ in self.test), self.chosen)

    def _keep(self, tested: Sequence[str]) -> "FolderImages":
        """Returns the same files, those with these digests for the test, in the same order."""
        if tuple(tested) == self._list_held_out().digests:
            return self
        known: dict[str, list[File]] = {}
        for file in sorted([*self.train, *self.test]):
            known.setdefault(digest_file(file[0]), []).append(file)
        test = [known[digest].pop(0) for digest in tested if known.get(digest)]
        train = [file for files in known.values() for file in files]
        if absent := len(tested) - len(test):
            raise ValueError(
                f"{self.folder} has changed: of the {len(tested)} files that the net's run kept "
                f"for its test, {absent} cannot be found unchanged, and others may be its "
                "training images; restore the folder, or give images that it has not seen in the "
                "folders train/<class> and test/<class> of another data.dataset"
            )
        headers = [_read_header(path) for path, _ in train]
        return replace(self, train=train, test=test, headers=headers)

    def _doubt(self, cut_out: bool) -> Iterator[str]:
        """Yields what is lost of images, and which classes have none in the test."""
        tested, count = {label for _, label in self.test}, len(self.headers)
        untested = [name for label, name in enumerate(self.classes) if label not in tested]
        if untested:
            yield f"no test image of {list_names(untested)}; their accuracy stays unknown"
        oblong = sum(header.width != header.height for header in self.headers)
        if oblong and not cut_out:
            yield (
                f"{oblong} of {count} training images are not square: only their middle is seen, "
                "in training and by the net"
            )
        deep = sum(header.deep for header in self.headers)
        if 0 < deep < count:
            yield (
                f"{deep} of {count} training images have more than eight bits, and are brighter or "
                "darker than the others by how they are scaled; make all alike"
            )


def scan_folder(folder: Path, size: int | None = None, cut_out: bool = False) -> Source:
    """Reads the headers of the images in a folder; their pixels are read when they are loaded.

    Images have one channel if all are grey, else three. The middle is cut out of images that are
    not square.

    Args:
        folder: A folder with the module's layout; ValueError if it has another, or other files.
        size: Height and width to which images are brought; by default the most common shorter
            side, at most `LARGEST_SIDE`.
        cut_out: Whether to cut out what is drawn, see `darts_lite.data.foreground`; images then
            have one channel.
    """
    classes, train, test, chosen = _list_parts(folder)
    if not test:
        raise ValueError(f"{folder} has too few images for a test; add images to each class")
    headers = [_read_header(path) for path, _ in train]
    sides = Counter(min(header.width, header.height) for header in headers)
    side = min(sides.most_common(1)[0][0], LARGEST_SIDE) if size is None else size
    channels = 1 if cut_out or all(header.grey for header in headers) else 3
    preparation = Preparation(channels, side, figure=FIGURE if cut_out else None)
    files = FolderImages(folder, train, test, headers, classes, preparation, size, chosen)
    return Source(
        channels=channels,
        size=side,
        classes=len(classes),
        mean=None,
        std=None,
        load=files.load,
        class_names=tuple(classes),
        load_as=files.load_as,
    )


class _Parts(NamedTuple):
    """The files of a folder."""

    classes: list[str]
    train: list[File]
    test: list[File]
    chosen: bool  # whether the test images were chosen here, and have no folder of their own


def _list_parts(folder: Path) -> _Parts:
    named = folder / "train"
    if not _has_folders(named):
        classes, files = _list_images(folder)
        return _Parts(classes, *_hold_out(files), chosen=True)
    _warn_of_loose_images(folder)
    classes, train = _list_images(named)
    others = [name for name in _list_folders(folder) if name not in ("train", "test")]
    if others:
        warnings.warn(
            f"{folder} also has {', '.join(others)}, which is not read: validation images are a "
            "part of train, test images are in test",
            stacklevel=2,
        )
    if not (folder / "test").is_dir():
        return _Parts(classes, *_hold_out(train), chosen=True)
    test_classes, test = _list_images(folder / "test")
    if test_classes != classes:
        raise ValueError(
            f"{folder / 'test'} has the classes {test_classes}, {named} has {classes}; both need "
            "the same folders"
        )
    return _Parts(classes, train, test, chosen=False)


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
    _warn_of_loose_images(folder)
    return classes, files


def _warn_of_loose_images(folder: Path) -> None:
    endings = list_endings()
    loose = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in endings)
    if loose:
        warnings.warn(
            f"images in {folder} itself are left out, {loose[0]} for one, {len(loose)} in all: "
            "an image belongs into the folder of its class",
            stacklevel=2,
        )


def _list_folders(folder: Path) -> list[str]:
    """Returns the names of the folders in one, sorted; ValueError if one is not text."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    for name in names:
        if not name.isprintable():
            raise ValueError(
                f"{str(folder / name)!a} has a name that cannot be printed; rename this folder"
            )
    return names


def _has_folders(folder: Path) -> bool:
    """Returns whether there is a folder with this path, and folders in it."""
    return folder.is_dir() and bool(_list_folders(folder))


def _hold_out(files: Sequence[File]) -> tuple[list[File], list[File]]:
    """Splits files into training and one test file in `TEST_SHARE`, stratified, always alike."""
    labels = torch.tensor([label for _, label in files])
    order = stratified_order(labels, seed=0)
    held = hold_out(labels[order], max(1, len(files) // TEST_SHARE))
    return [files[i] for i in order[~held].tolist()], [files[i] for i in order[held].tolist()]


def _read_header(path: Path) -> Header:
    with open_image(path) as image:
        return Header(*image.size, is_grey(image), is_deep(image))


def _load_files(files: Sequence[File], preparation: Preparation) -> tuple[Tensor, Tensor]:
    """Reads images ``(N, channels, side, side)``, and their labels.

    Images are uint8, or float32 in 0..1 if they are of more than eight bits.
    """
    deep = preparation.greys.white is not None
    images, doubts = [], []
    for path, _ in files:
        pixels, doubt = preparation.read(path)
        images.append(pixels if deep else pixels.mul(255).round().to(torch.uint8))
        if doubt is not None:
            doubts.append(f"{path} {doubt}")
    if doubts:
        warnings.warn(
            f"{len(doubts)} of {len(files)} images are doubtful, for one {doubts[0]}", stacklevel=2
        )
    return torch.stack(images), torch.tensor([label for _, label in files])


def find_source(dataset: str, image_size: int | None = None, cut_out: bool = False) -> Source:
    """Returns the data set with this name, or the images in the folder with this path.

    Raises ValueError if there is neither, or the size does not fit.
    """
    if image_size is not None and not 1 <= image_size <= LARGEST_IMAGE:
        raise ValueError(f"image_size must be 1 to {LARGEST_IMAGE} pixels, got {image_size}")
    if is_folder(dataset):
        return scan_folder(Path(dataset), image_size, cut_out)
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
