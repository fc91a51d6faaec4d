"""The data of a run: whole data sets on the training device, split, shuffled and cut in batches.

A few tensor operations on that device make each batch; there are no worker processes.
"""

import warnings
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_lite.data.augmentation import Augmentation
from darts_lite.data.batches import Batch
from darts_lite.data.class_balance import list_names
from darts_lite.data.datasets import LoadedImages, Source, find_root
from darts_lite.data.foreground import FIGURE, measure_foreground
from darts_lite.data.image_files import HeldOut
from darts_lite.data.image_folders import find_source, is_folder
from darts_lite.data.preparation import Preparation, measure_channels, scale_pixels
from darts_lite.data.split_data import SplitData, check_settings
from darts_lite.data.splits import compute_split_sizes, hold_out, stratified_order
from darts_lite.distributed.ranks import WHOLE, Shard

MOST_CLASSES = 1000  # largest number of classes: reports hold a matrix of them
SAMPLE = 5000  # number of training images on which the foreground is measured


class ImageData(SplitData):
    """A torchvision data set, split for architecture search, on the training device.

    The training set falls into "validation", "weights" and "alphas" (the rest, half and half),
    each with the classes in the proportions of the whole. A LightningModule that declares
    ``paired_batches = True`` gets ``{"weights": (x, y), "alphas": (x, y)}``; any other one gets
    plain ``(x, y)`` from the union of the two. The test set is a separate split.

    Args:
        dataset: its name as torchvision spells it: MNIST, FashionMNIST, KMNIST, EMNIST (digits),
            QMNIST, CIFAR10 or CIFAR100; or the path of a folder of images, see `scan_folder`
        root: folder of the files; null takes the environment variable DARTS_LITE_DATA, then data/
        seed: seed of the splits; the order of batches follows the run's seed (`seed_everything`)
        validation_fraction: part of the training set that is kept for validation, between 0 and 1
        train_images: number of images of the training set to use; null uses all
        search_batches_per_epoch: steps of an epoch of the search; null takes one pass. A small set
            is passed several times, so that a search has the steps its settings were made for
        least_batches_per_epoch: steps of an epoch up to which ordinary training repeats a small set
        search_batch_size: images per split in one step of the search
        batch_size: images in one step of ordinary training
        evaluation_batch_size: images at once in validation and test
        search_augmentation: augments the batches of the search
        augmentation: augments the batches of ordinary training
        download_seconds: how long to wait for a network that does not answer
        image_size: height and width to which images in folders are brought; null takes what most
            of them have, at most 64; a data set with a name has a fixed size
        cut_out: whether what is drawn on a plain background is cut out of image files, made light
            on black and centred, in training and afterwards; null does so only for files that are
            shown to a net of MNIST, EMNIST or QMNIST

    Raises:
        ValueError: if the dataset is unknown, or a number is out of its range.
    """

    def __init__(
        self,
        dataset: str = "MNIST",
        root: str | None = None,
        seed: int = 0,
        validation_fraction: float = 0.1,
        train_images: int | None = None,
        search_batches_per_epoch: int | None = None,
        least_batches_per_epoch: int = 1,
        search_batch_size: int = 64,
        batch_size: int = 128,
        evaluation_batch_size: int = 1000,
        search_augmentation: Augmentation | None = None,
        augmentation: Augmentation | None = None,
        download_seconds: float = 15.0,
        image_size: int | None = None,
        cut_out: bool | None = None,
    ) -> None:
        super().__init__()
        self._cut_out = cut_out
        self._source = self.source(dataset, image_size)
        settings: dict[str, Any] = {
            "dataset": str(Path(dataset).resolve()) if is_folder(dataset) else dataset,
            "root": root,
            "seed": seed,
            "validation_fraction": validation_fraction,
            "train_images": train_images,
            "search_batches_per_epoch": search_batches_per_epoch,
            "least_batches_per_epoch": least_batches_per_epoch,
            "search_batch_size": search_batch_size,
            "batch_size": batch_size,
            "evaluation_batch_size": evaluation_batch_size,
            "search_augmentation": search_augmentation and search_augmentation.describe(),
            "augmentation": augmentation and augmentation.describe(),
            "download_seconds": download_seconds,
            "image_size": image_size,
            "cut_out": cut_out,
        }
        check_settings(settings)
        self.save_hyperparameters(settings, logger=False)
        self.in_channels, self.image_size, self.num_classes = self._source[:3]
        if not 2 <= self.num_classes <= MOST_CLASSES:
            raise ValueError(
                f"the images are of {self.num_classes} classes; it must be 2 to {MOST_CLASSES}"
            )
        self.search_augmentation, self.augmentation = search_augmentation, augmentation
        self.splits: dict[str, Tensor] = {}
        self._mean = self._std = torch.empty(0)  # (C, 1, 1) each, once the images are known
        self._loaded: LoadedImages | None = None
        self._trained: tuple[Preparation, Sequence[str]] | None = None

    def source(self, dataset: str, image_size: int | None) -> Source:
        """Returns what is known of the images before they are read; custom data override this."""
        return find_source(dataset, image_size, bool(self._cut_out))

    def prepare_as(self, trained: Preparation, tested: Sequence[str] = ()) -> None:
        """Shows images as a trained net saw its own; call it before `setup`.

        Of a folder, files with the digests ``tested`` are the test images again. Raises ValueError
        if settings ask for something else, or images cannot be brought to it.
        """
        names = {"image_size": trained.size, "cut_out": trained.figure is not None}
        for name, value in names.items():
            if self.hparams.get(name) not in (None, value):
                raise ValueError(
                    f"data.{name} is {self.hparams[name]}, and the net was trained on images with "
                    f"{value}; leave it out"
                )
        if self._source.load_as is not None:
            self.in_channels, self.image_size = trained.channels, trained.size
        elif trained.size != self.image_size:
            raise ValueError(
                f"the net was trained on images of {trained.size} pixels a side, and those of "
                f"{self.hparams['dataset']} have {self.image_size}; give others as data.dataset"
            )
        self._trained = trained, tested

    def prepare_data(self) -> None:
        """Downloads once per machine, before the other ranks look for the files."""
        self._load()

    def setup(self, stage: str) -> None:
        """Reads and splits the data once, and moves it to the training device.

        Raises what `darts_lite.data.datasets.load` raises, and ValueError if images are too few.
        """
        loaded = self._load()
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self._loaded = loaded.to(device)
        self._mean, self._std = (
            torch.tensor(values, device=device).view(-1, 1, 1)
            for values in (self.preparation.mean, self.preparation.std)
        )
        if not self.splits:
            self.splits = self._split(loaded.train_labels)

    @cached_property
    def preparation(self) -> Preparation:
        """How images become what a net sees; mean and deviation are measured if not published."""
        if self._trained is not None:
            return self._trained[0]
        mean, std = self._source.mean, self._source.std
        if mean is None or std is None:
            mean, std = measure_channels(self._images.train_images)
        shape = self.in_channels, self.image_size
        return Preparation(*shape, self._images.greys, self._find_figure(), mean, std)

    def _find_figure(self) -> float | None:
        """Returns the share of a side to which figures in files are brought; None leaves them."""
        if self._source.load_as is not None:
            return FIGURE if self._cut_out else None
        if not (self._source.digits if self._cut_out is None else self._cut_out):
            return None
        images = self._images.train_images
        return measure_foreground(images[:: -(-len(images) // SAMPLE)].cpu())

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._source.class_names

    @property
    def data_source(self) -> str:
        return self._images.source

    @property
    def checksum(self) -> int:
        """CRC-32 of all images and labels."""
        images = self._images.to(torch.device("cpu"))
        parts = images.train_images, images.train_labels, images.test_images, images.test_labels
        total = 0
        for tensor in parts:
            total = zlib.crc32(tensor.numpy().tobytes(), total)
        return total

    @property
    def test_count(self) -> int:
        return len(self._images.test_labels)

    @property
    def class_counts(self) -> Tensor:
        """Number of training images of each class ``(classes,)``; after ``setup``."""
        union = torch.cat([self.splits["weights"], self.splits["alphas"]])
        return self._images.train_labels.cpu()[union].bincount(minlength=self.num_classes)

    @property
    def held_out(self) -> HeldOut:
        return self._images.held_out

    def read(self, part: str, chosen: Tensor, shard: Shard, use: str) -> Batch:
        images, labels = (getattr(self._images, f"{part}_{what}") for what in ("images", "labels"))
        augment = {"search": self.search_augmentation, "training": self.augmentation}.get(use)
        found = images.index_select(0, chosen)  # (B, C, H, W)
        return self.prepare(found, shard, augment), labels.index_select(0, chosen)

    @property
    def device(self) -> torch.device:
        return self._images.train_images.device

    def sample_test(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns test images of all classes, ``(count, C, H, W)`` in 0..1, and their classes."""
        images, labels = self._images.test_images, self._images.test_labels
        chosen = stratified_order(labels.cpu(), seed=0)[:count].sort().values.to(labels.device)
        return scale_pixels(images[chosen]), labels[chosen]

    def sample_training(self, count: int) -> Tensor:
        """Returns training images of all classes as they are, ``(count, C, H, W)`` in 0..1."""
        chosen = torch.cat([self.splits["weights"], self.splits["alphas"]])[:count]
        images = self._images.train_images
        return scale_pixels(images[chosen.to(images.device)])

    def prepare(
        self, images: Tensor, part: Shard = WHOLE, augmentation: Augmentation | None = None
    ) -> Tensor:
        """Turns images in memory (B, C, H, W) into the float32 input of a network, same shape."""
        scaled = scale_pixels(images)  # (B, C, H, W)
        if augmentation is None:
            return self.normalize(scaled)
        return augmentation(scaled, self.normalize, part)

    def normalize(self, images: Tensor) -> Tensor:
        """Standardises float images (B, C, H, W) in 0..1 by the data set's mean and deviation."""
        return (images - self._mean.to(images.device)) / self._std.to(images.device)

    @property
    def _images(self) -> LoadedImages:
        if self._loaded is None:
            raise RuntimeError("the data is not loaded yet: call setup('fit') first")
        return self._loaded

    def _load(self) -> LoadedImages:
        source, trained = self._source, self._trained
        if self._loaded is None and trained is not None and source.load_as is not None:
            self._loaded = source.load_as(*trained)
        if self._loaded is None:
            root, seconds = self.hparams["root"], self.hparams["download_seconds"]
            self._loaded = source.load(find_root(root), seconds)
        return self._loaded

    def _split(self, labels: Tensor) -> dict[str, Tensor]:
        """Returns the splits' indices; fewer ``train_images`` are a subset of more."""
        total = self.hparams["train_images"] or len(labels)
        if total > len(labels):
            raise ValueError(f"train_images is {total}, but the training set has {len(labels)}")
        labels = labels.cpu()
        self._check_classes(labels)
        sizes = compute_split_sizes(total, self.hparams["validation_fraction"])
        order = stratified_order(labels, self.hparams["seed"])[:total]
        held = hold_out(labels[order], sizes["validation"])
        validation, rest = order[held], order[~held]
        if not len(validation):
            raise ValueError("no image is left for validation; add images to each class")
        weights, alphas = rest.tensor_split([len(rest) - len(rest) // 2])
        if once := self._name_all(labels[rest].bincount(minlength=self.num_classes) == 1):
            warnings.warn(
                f"only one training image is left of {once}: a search learns either weights or "
                "alphas from it; add images",
                stacklevel=2,
            )
        return {"validation": validation, "weights": weights, "alphas": alphas}

    def _check_classes(self, labels: Tensor) -> None:
        """Raises ValueError if a class has no training image; these have the labels (N,)."""
        if absent := self._name_all(labels.bincount(minlength=self.num_classes) == 0):
            raise ValueError(
                f"the training set has no image of {absent}; add some, or leave the class out"
            )

    def _name_all(self, flags: Tensor) -> str:
        """Returns the names of the flagged classes in words, from flags ``(classes,)``."""
        labels = flags.nonzero().flatten().tolist()
        return list_names([str(k) if (n := self.class_names) is None else n[k] for k in labels])
