"""Custom images, in one folder per class or with names that tell it."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from darts_lite.data.images.datasets import DATASETS, LoadedImages, Source, find_named
from darts_lite.data.images.foreground import FIGURE
from darts_lite.data.images.image_files import IMAGES, is_deep, is_grey, measure_range, open_image
from darts_lite.data.images.image_preparation import LARGEST_IMAGE, ImagePreparation
from darts_lite.data.labelled_files import File, LabelledFiles, scan_files
from darts_lite.data.naming import BY_FOLDER, Naming
from darts_lite.data.preparation import round_values

FOLDER = "images in "  # how the source of images of a folder begins
LARGEST_SIDE = 64  # side in pixels to which larger images are reduced if no size is given


class Header(NamedTuple):
    """Facts of an image file, known before its pixels are read."""

    width: int
    height: int
    grey: bool
    deep: bool  # whether grey values have more than eight bits


@dataclass(frozen=True)
class FolderImages:
    """The image files of a folder, and how they are prepared unless a net says otherwise."""

    files: LabelledFiles
    headers: Sequence[Header]  # of the training images
    preparation: ImagePreparation
    size: int | None  # to which images are to be brought; None if nobody asked for one

    def load(self, *_: object) -> LoadedImages:
        """Reads all images; warns if they are reduced to a size that nobody asked for."""
        largest, side = max(min(each[:2]) for each in self.headers), self.preparation.size
        if largest > side and self.size is None:
            warnings.warn(
                f"images in {self.files.folder} of up to {largest} pixels a side are reduced to "
                f"{side}; set data.image_size to {min(largest, LARGEST_IMAGE)} to keep them, or to "
                f"{side}",
                stacklevel=2,
            )
        known = zip(self.files.train, self.headers, strict=True)
        greys = measure_range(path for (path, _), header in known if header.deep)
        return self.load_as(replace(self.preparation, greys=greys))

    def load_as(self, preparation: ImagePreparation, tested: Sequence[str] = ()) -> LoadedImages:
        """Reads all images, prepared as those of a trained net; warns of what is lost.

        ``tested`` are the digests of the files with which the net was tested, see
        `LabelledFiles.keep`.
        """
        files, headers = self.files.keep(tested), self.headers
        if files is not self.files:
            headers = [_read_header(path) for path, _ in files.train]
        doubts = [*files.doubt(), *_doubt(headers, cut_out=preparation.figure is not None)]
        for doubt in doubts:
            warnings.warn(f"{files.folder}: {doubt}", stacklevel=2)
        train, test = (_load_files(part, preparation) for part in (files.train, files.test))
        source = f"{FOLDER}{files.folder.name}"
        groups = files.train_groups
        return LoadedImages(*train, *test, source, files.held_out, groups, greys=preparation.greys)


def _doubt(headers: Sequence[Header], cut_out: bool) -> Iterator[str]:
    """Yields what is lost of training images."""
    count = len(headers)
    oblong = sum(header.width != header.height for header in headers)
    if oblong and not cut_out:
        yield (
            f"{oblong} of {count} training images are not square: only their middle is seen, "
            "in training and by the net"
        )
    deep = sum(header.deep for header in headers)
    if 0 < deep < count:
        yield (
            f"{deep} of {count} training images have more than eight bits, and are brighter or "
            "darker than the others by how they are scaled; make all alike"
        )


def scan_folder(
    folder: Path, size: int | None = None, cut_out: bool = False, naming: Naming = BY_FOLDER
) -> Source:
    """Reads the headers of the images in a folder; their pixels are read when they are loaded.

    Images have one channel if all are grey, else three. The middle is cut out of images that are
    not square.

    Args:
        folder: A folder, see `darts_lite.data.labelled_files.scan_files`.
        size: Height and width to which images are brought; by default the most common shorter
            side, at most `LARGEST_SIDE`.
        cut_out: Whether to cut out what is drawn, see `darts_lite.data.images.foreground`; images
            then have one channel.
        naming: What paths of files tell.
    """
    files = scan_files(folder, IMAGES, naming)
    headers = [_read_header(path) for path, _ in files.train]
    sides = Counter(min(header.width, header.height) for header in headers)
    side = min(sides.most_common(1)[0][0], LARGEST_SIDE) if size is None else size
    channels = 1 if cut_out or all(header.grey for header in headers) else 3
    preparation = ImagePreparation(channels, side, figure=FIGURE if cut_out else None)
    found = FolderImages(files, headers, preparation, size)
    return Source(
        channels=channels,
        size=side,
        classes=len(files.classes),
        mean=None,
        std=None,
        load=found.load,
        class_names=tuple(files.classes),
        load_as=found.load_as,
    )


def _read_header(path: Path) -> Header:
    with open_image(path) as image:
        return Header(*image.size, is_grey(image), is_deep(image))


def _load_files(files: Sequence[File], preparation: ImagePreparation) -> tuple[Tensor, Tensor]:
    """Reads images ``(N, channels, side, side)``, and their labels.

    Images are uint8, or float32 in 0..1 if they are of more than eight bits.
    """
    deep = preparation.greys.white is not None
    images, doubts = [], []
    for path, _ in files:
        pixels, doubt = preparation.read(path)
        images.append(pixels if deep else round_values(pixels.mul(255)).to(torch.uint8))
        if doubt is not None:
            doubts.append(f"{path} {doubt}")
    if doubts:
        warnings.warn(
            f"{len(doubts)} of {len(files)} images are doubtful, for one {doubts[0]}", stacklevel=2
        )
    return torch.stack(images), torch.tensor([label for _, label in files])


def find_source(
    dataset: str, image_size: int | None = None, cut_out: bool = False, naming: Naming = BY_FOLDER
) -> Source:
    """Returns the data set with this name, or the images in the folder with this path.

    Raises ValueError if there is neither, or the settings do not fit.
    """
    if image_size is not None and not 1 <= image_size <= LARGEST_IMAGE:
        raise ValueError(f"image_size must be 1 to {LARGEST_IMAGE} pixels, got {image_size}")
    if is_folder(dataset):
        return scan_folder(Path(dataset), image_size, cut_out, naming)
    source = find_named(dataset)
    if image_size not in (None, source.size):
        raise ValueError(
            f"images of {dataset} have {source.size} pixels a side, and image_size is for images "
            "in folders; leave it out"
        )
    for name, told in naming._asdict().items():
        if told is not None:
            raise ValueError(
                f"{name} is for images in folders, and not for {dataset}; leave it out"
            )
    return source


def is_folder(dataset: str) -> bool:
    """Returns whether this is a folder of images and not the name of a data set."""
    return dataset not in DATASETS and Path(dataset).is_dir()
