"""Images: whole data sets on the training device, split, shuffled and cut in batches.

A few tensor operations on that device make each batch; there are no worker processes.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from darts_lite.data.images.augmentation import Augmentation
from darts_lite.data.images.datasets import LoadedImages, Source, find_root
from darts_lite.data.images.foreground import FIGURE, measure_foreground
from darts_lite.data.images.image_folders import find_source, is_folder
from darts_lite.data.images.image_preparation import ImagePreparation, measure_channels
from darts_lite.data.labelled_data import LabelledData, describe_changes
from darts_lite.data.naming import Naming
from darts_lite.data.preparation import Preparation
from darts_lite.data.split_data import check_settings

SAMPLE = 5000  # number of training images on which the foreground is measured


class ImageData(LabelledData):
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
        class_by: regular expression that finds an image's class in its path inside of the folder,
            in its first parentheses; null takes the name of its folder
        group_by: regular expression that finds an image's group likewise, a patient or a burst of
            shots for one; or a csv file inside of the folder, with the columns file and group. No
            group is in two splits
        test_by: regular expression that finds test images by their paths inside of the folder

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
        class_by: str | None = None,
        group_by: str | None = None,
        test_by: str | None = None,
    ) -> None:
        super().__init__()
        self._cut_out = cut_out
        self._naming = Naming(class_by, group_by, test_by)
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
            "search_augmentation": describe_changes(search_augmentation),
            "augmentation": describe_changes(augmentation),
            "download_seconds": download_seconds,
            "image_size": image_size,
            "cut_out": cut_out,
            **self._naming._asdict(),
        }
        check_settings(settings)
        self.save_hyperparameters(settings, logger=False)
        self.in_channels, self.image_size, self.num_classes = self._source[:3]
        self.check_classes()
        self.search_augmentation, self.augmentation = search_augmentation, augmentation

    def source(self, dataset: str, image_size: int | None) -> Source:
        """Returns what is known of the images before they are read; custom data override this."""
        return find_source(dataset, image_size, bool(self._cut_out), self._naming)

    def prepare_as(self, trained: Preparation, tested: Sequence[str] = ()) -> None:
        """Shows images as a trained net saw its own; call it before `setup`.

        Of a folder, files with the digests ``tested`` are the test images again. Raises ValueError
        if settings ask for something else, or images cannot be brought to it.
        """
        trained = self.check_kind(trained, ImagePreparation)
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

    @cached_property
    def preparation(self) -> ImagePreparation:
        """How images become what a net sees; mean and deviation are measured if not published."""
        if self._trained is not None:
            return cast(ImagePreparation, self._trained[0])
        mean, std = self._source.mean, self._source.std
        if mean is None or std is None:
            mean, std = measure_channels(self.items.train_items)
        shape = self.in_channels, self.image_size
        return ImagePreparation(*shape, self.items.greys, self._find_figure(), mean, std)

    def _find_figure(self) -> float | None:
        """Returns the share of a side to which figures in files are brought; None leaves them."""
        if self._source.load_as is not None:
            return FIGURE if self._cut_out else None
        if not (self._source.digits if self._cut_out is None else self._cut_out):
            return None
        images = self.items.train_items
        return measure_foreground(images[:: -(-len(images) // SAMPLE)].cpu())

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._source.class_names

    @property
    def items(self) -> LoadedImages:
        """All images; after ``setup``."""
        found = super().items
        assert isinstance(found, LoadedImages)
        return found

    def load_items(self) -> LoadedImages:
        source, trained = self._source, self._trained
        if trained is not None and source.load_as is not None:
            return source.load_as(*trained)
        return source.load(find_root(self.hparams["root"]), self.hparams["download_seconds"])
