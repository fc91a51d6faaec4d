"""Splits, and batches of them: all that a run needs of its data, whatever they are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor

from darts_lite.data.batches import CPU, Batch, Batches, PairedBatches
from darts_lite.data.labelled_files import HeldOut
from darts_lite.data.preparation import Preparation
from darts_lite.data.splits import compute_split_sizes
from darts_lite.distributed.ranks import WHOLE, Shard
from darts_lite.space.maps import make_shape
from darts_lite.storage.components import class_path

MOST_IMAGES = 10_000_000  # largest number in an epoch, whose order is drawn as a whole
LONGEST_WAIT = 86_400  # seconds for an answer of the network


class SplitData(LightningDataModule, ABC):
    """Data whose training part is split for architecture search; subclasses say what they are.

    A LightningModule that declares ``paired_batches = True`` gets pairs of batches,
    ``{"weights": (x, y), "alphas": (x, y)}``; any other one gets plain ``(x, y)`` from the union of
    the two. Settings in ``hparams`` are those of `darts_lite.ImageData`: sizes of batches, and
    batches per epoch.

    Attributes:
        in_channels: Number of channels of an input.
        num_classes: Number of classes, or of what else a net answers with.
        image_size: Height and width of an input; of a signal its length.
        axes: Number of axes of an input: 2 for images, 1 for signals, whose height is 1.
        splits: ``weights``, ``alphas``, ``validation`` -> their indices ``(n,)``; after ``setup``.
    """

    in_channels: int
    num_classes: int
    image_size: int
    axes: int = 2
    splits: dict[str, Tensor]
    named_by = "dataset"  # the setting by which reports call the data
    word = "image"  # what an item is called

    @property
    def called(self) -> str:
        """The word for several items."""
        return f"{self.word}s"

    @property
    @abstractmethod
    def data_source(self) -> str:
        """Where the data come from, in words; after ``setup``."""

    @property
    @abstractmethod
    def checksum(self) -> int:
        """A number by which a resumed run recognises its data; after ``setup``."""

    @property
    @abstractmethod
    def test_count(self) -> int:
        """Number of test items; after ``setup``."""

    @abstractmethod
    def read(self, part: str, chosen: Tensor, shard: Shard, use: str) -> Batch:
        """Returns one rank's share of a batch, as a net sees it.

        Args:
            part: ``train`` or ``test``.
            chosen: Indices in that part ``(B,)``.
            use: ``search``, ``training``, or ``evaluation``, which augments nothing.
        """

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape ``(C, H, W)`` of an input."""
        return self.in_channels, *make_shape(self.image_size, self.axes)

    @property
    def device(self) -> torch.device:
        """Where `read` wants its indices."""
        return CPU

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in the order of the labels; None where they have none."""
        return None

    @property
    def class_counts(self) -> Tensor | None:
        """Number of training items of each class ``(classes,)``; None without classes."""
        return None

    @property
    def preparation(self) -> Preparation | None:
        """How images of files become what a net sees; None where they cannot."""
        return None

    @property
    def held_out(self) -> HeldOut:
        """Files for the test; empty where items are no files of a folder; after ``setup``."""
        return HeldOut()

    def prepare_as(self, trained: Preparation, tested: Sequence[str] = ()) -> None:
        """Shows images as a trained net saw its own; raises ValueError where that has no sense."""
        raise ValueError(
            f"{class_path(type(self))} gives no images of files; take darts_lite.ImageData for a "
            "net that was trained on images"
        )

    def describe(self) -> dict[str, Any]:
        """Returns the class and its arguments as plain values, to build the same data again."""
        return {"class_path": class_path(type(self)), "init_args": dict(self.hparams)}

    @property
    def split_sizes(self) -> dict[str, int]:
        """Number of items in each split, the test included; known after ``setup``."""
        sizes = {name: len(indices) for name, indices in self.splits.items()}
        return {**sizes, "test": self.test_count}

    def train_dataloader(self) -> Batches | PairedBatches:
        """Returns pairs for a search, else plain batches of both training splits."""
        weights, alphas = self.splits["weights"], self.splits["alphas"]
        if getattr(self.trainer and self.trainer.lightning_module, "paired_batches", False):
            size = self.hparams["search_batch_size"]
            pair = PairedBatches(
                self._batches("train", weights, size, "search", shuffle="weights"),
                self._batches("train", alphas, size, "search", shuffle="alphas"),
            )
            pair.weights.length = pair.alphas.length = self.hparams["search_batches_per_epoch"]
            return pair
        union, size = torch.cat([weights, alphas]), self.hparams["batch_size"]
        batches = self._batches("train", union, size, "training", shuffle="both")
        if len(batches) < self.hparams["least_batches_per_epoch"]:
            batches.length = self.hparams["least_batches_per_epoch"]
        return batches

    def weights_dataloader(self) -> Batches:
        """Returns the whole ``weights`` split, augmented, on every rank; for trainings in a search.

        Thus all ranks get the same result.
        """
        size, weights = self.hparams["search_batch_size"], self.splits["weights"]
        batches = self._batches("train", weights, size, "search", shuffle="inside")
        return replace(batches, part=WHOLE)

    def alphas_dataloader(self) -> Batches:
        """Returns the whole ``alphas`` split on every rank, to compare architectures on."""
        return replace(self._batches("train", self.splits["alphas"]), part=WHOLE)

    def val_dataloader(self) -> Batches:
        return self._batches("train", self.splits["validation"])

    def test_dataloader(self) -> Batches:
        return self._batches("test", torch.arange(self.test_count))

    def predict_dataloader(self) -> Batches:
        return self.test_dataloader()

    def _batches(
        self,
        part: str,
        indices: Tensor,
        batch_size: int | None = None,
        use: str = "evaluation",
        shuffle: str | None = None,
    ) -> Batches:
        """Returns batches of a part; by default, for evaluation: unaugmented and in order."""
        read = partial(self.read, part, use=use)
        key = shuffle and f"{torch.initial_seed()}/{shuffle}"
        size = batch_size or self.hparams["evaluation_batch_size"]
        batches = Batches(read, indices, size, key, device=self.device)
        if trainer := self.trainer:
            batches.epoch = lambda: trainer.current_epoch
            batches.part = Shard(trainer.global_rank, trainer.world_size)
        return batches


def check_inputs(data: Any, axes: int) -> None:
    """Raises ValueError if data give inputs of other axes than nets with maps of `axes` read.

    A data module that does not tell them gives images.
    """
    remedies = {
        1: "take a space of layers with axes: 1, as --config signals does",
        2: "leave axes out of the space",
    }
    if (given := getattr(data, "axes", 2)) != axes:
        kinds = {1: "signals", 2: "images"}
        called = getattr(data, "called", "images")
        raise ValueError(
            f"the data are {called}, and the nets are for {kinds[axes]}; {remedies[given]}"
        )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises ValueError if one of the numbers of `SplitData` or `ImageData` is out of its range."""
    batches = ("search_batches_per_epoch", "least_batches_per_epoch")
    sizes = ("search_batch_size", "batch_size", "evaluation_batch_size")
    for name in (*batches, *sizes):
        if settings[name] is not None and settings[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {settings[name]}")
    for count, size in zip(batches, sizes, strict=False):  # the evaluation takes one pass
        if (settings[count] or 1) * settings[size] > MOST_IMAGES:
            raise ValueError(
                f"{count} times {size} must be at most {MOST_IMAGES}, got "
                f"{settings[count]} times {settings[size]}"
            )
    fraction, seed = settings["validation_fraction"], settings["seed"]
    seconds, images = settings.get("download_seconds", 1), settings.get("train_images")
    if not 0 < fraction < 1:
        raise ValueError(f"validation_fraction must lie in (0, 1), got {fraction}")
    if not 0 <= seed < 2**63:
        raise ValueError(f"the data seed must be at least 0 and below 2**63, got {seed}")
    if not 0 < seconds <= LONGEST_WAIT:
        raise ValueError(
            f"download_seconds must be above 0 and at most {LONGEST_WAIT}, got {seconds}"
        )
    if images is not None:
        compute_split_sizes(images, fraction)
