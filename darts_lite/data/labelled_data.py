"""Items of classes, all in memory on the training device: what their kinds share."""

import warnings
import zlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from darts_lite.data.batches import Batch
from darts_lite.data.changes import RandomChanges
from darts_lite.data.class_balance import list_names
from darts_lite.data.labelled_files import HeldOut
from darts_lite.data.preparation import Preparation
from darts_lite.data.split_data import SplitData
from darts_lite.data.splits import (
    compute_split_sizes,
    hold_out,
    split_groups,
    stratified_order,
)
from darts_lite.distributed.ranks import WHOLE, Shard

Kind = TypeVar("Kind", bound=Preparation)

MOST_CLASSES = 1000  # largest number of classes: reports hold a matrix of them
LARGEST_VALUE = {torch.uint8: 255, torch.int16: 32768}
"""Kind of whole numbers in memory -> what is 1 to a net."""


def scale_values(items: Tensor) -> Tensor:
    """Returns items in memory as float32: whole numbers in shares of the largest, others as are."""
    largest = LARGEST_VALUE.get(items.dtype)
    return items if largest is None else items.float().div(largest)


@dataclass(frozen=True)
class LoadedItems:
    """A whole data set in memory; `source` says in words where it came from."""

    train_items: Tensor  # (N, ...)
    train_labels: Tensor  # (N,) int64
    test_items: Tensor  # (M, ...)
    test_labels: Tensor  # (M,) int64
    source: str
    held_out: HeldOut = HeldOut()
    train_groups: Tensor | None = None  # (N,) int64

    def to(self, device: torch.device) -> Self:
        """Returns items and labels on ``device``; copies nothing that is there already."""
        return replace(
            self,
            train_items=self.train_items.to(device),
            train_labels=self.train_labels.to(device),
            test_items=self.test_items.to(device),
            test_labels=self.test_labels.to(device),
        )


class LabelledData(SplitData):
    """Items of classes, split for architecture search, on the training device.

    The training set falls into "validation", "weights" and "alphas" (the rest, half and half),
    each with the classes in the proportions of the whole; where items have groups, no group is in
    two of them. Subclasses set ``search_augmentation`` and ``augmentation``.
    """

    search_augmentation: RandomChanges | None
    augmentation: RandomChanges | None

    def __init__(self) -> None:
        super().__init__()
        self.splits: dict[str, Tensor] = {}
        self._mean = self._std = torch.empty(0)  # (C, 1, 1) each, once the items are known
        self._front: nn.Module = nn.Identity()
        self._loaded: LoadedItems | None = None
        self._trained: tuple[Preparation, Sequence[str]] | None = None

    def check_kind(self, trained: Preparation, kind: type[Kind]) -> Kind:
        """Returns what a net was trained on; ValueError if that is of another kind."""
        if not isinstance(trained, kind):
            raise ValueError(
                f"the net was trained on {trained.kind.words}, and {self.hparams['dataset']} holds "
                f"{self.called}; give others as data.dataset"
            )
        return trained

    @abstractmethod
    def load_items(self) -> LoadedItems:
        """Reads the data; where a net was trained before, as `prepare_as` was told."""

    @property
    @abstractmethod
    def preparation(self) -> Preparation:
        """How items become what a net sees; after ``setup``."""

    def check_classes(self) -> None:
        """Raises ValueError if there are too few or too many classes."""
        if not 2 <= self.num_classes <= MOST_CLASSES:
            raise ValueError(
                f"the {self.called} are of {self.num_classes} classes; it must be 2 to "
                f"{MOST_CLASSES}"
            )

    def prepare_data(self) -> None:
        """Reads once per machine, before the other ranks do: what is missing is downloaded."""
        self._load()

    def setup(self, stage: str) -> None:
        """Reads and splits the data once, and moves it to the training device.

        Raises ValueError if items are too few, and what reading them raises.
        """
        loaded = self._load()
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self._loaded = loaded.to(device)
        self._front = self.preparation.front().to(device)
        self._mean, self._std = (
            torch.tensor(values, device=device).view(-1, 1, 1)
            for values in (self.preparation.mean, self.preparation.std)
        )
        if not self.splits:
            self.splits = self._split(loaded.train_labels, loaded.train_groups)

    @property
    def items(self) -> LoadedItems:
        """All items; after ``setup``."""
        if self._loaded is None:
            raise RuntimeError("the data is not loaded yet: call setup('fit') first")
        return self._loaded

    @property
    def data_source(self) -> str:
        return self.items.source

    @property
    def checksum(self) -> int:
        """CRC-32 of all items, labels and groups."""
        items = self.items.to(torch.device("cpu"))
        parts = [items.train_items, items.train_labels, items.test_items, items.test_labels]
        if items.train_groups is not None:
            parts.append(items.train_groups)
        total = 0
        for tensor in parts:
            total = zlib.crc32(tensor.numpy().tobytes(), total)
        return total

    @property
    def test_count(self) -> int:
        return len(self.items.test_labels)

    @property
    def class_counts(self) -> Tensor:
        """Number of training items of each class ``(classes,)``; after ``setup``."""
        union = torch.cat([self.splits["weights"], self.splits["alphas"]])
        return self.items.train_labels.cpu()[union].bincount(minlength=self.num_classes)

    @property
    def held_out(self) -> HeldOut:
        return self.items.held_out

    @property
    def device(self) -> torch.device:
        return self.items.train_items.device

    def read(self, part: str, chosen: Tensor, shard: Shard, use: str) -> Batch:
        items, labels = (getattr(self.items, f"{part}_{what}") for what in ("items", "labels"))
        augment = {"search": self.search_augmentation, "training": self.augmentation}.get(use)
        found = items.index_select(0, chosen)  # (B, ...)
        return self.prepare(found, shard, augment), labels.index_select(0, chosen)

    def sample_test(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns test items of all classes as files hold them, ``(count, ...)``, and classes."""
        items, labels = self.items.test_items, self.items.test_labels
        chosen = stratified_order(labels.cpu(), seed=0)[:count].sort().values.to(labels.device)
        return scale_values(items[chosen]), labels[chosen]

    def sample_training(self, count: int) -> Tensor:
        """Returns training items of all classes as files hold them, ``(count, ...)``."""
        chosen = torch.cat([self.splits["weights"], self.splits["alphas"]])[:count]
        items = self.items.train_items
        return scale_values(items[chosen.to(items.device)])

    def prepare(
        self, items: Tensor, part: Shard = WHOLE, augmentation: RandomChanges | None = None
    ) -> Tensor:
        """Turns items in memory ``(B, ...)`` into the input of a network, ``(B, C, H, W)``."""
        scaled = scale_values(items)
        if augmentation is None:
            return self.normalize(scaled)
        changed: Tensor = augmentation(scaled, self.normalize, part)
        return changed

    def normalize(self, values: Tensor) -> Tensor:
        """Makes maps ``(B, C, H, W)`` of values, and standardises each channel."""
        maps = self._front.to(values.device)(values)
        return (maps - self._mean.to(maps.device)) / self._std.to(maps.device)

    def _load(self) -> LoadedItems:
        if self._loaded is None:
            self._loaded = self.load_items()
            if count := self._loaded.held_out.repeated:
                warnings.warn(
                    f"{count} of {len(self._loaded.test_labels)} test {self.called} are among the "
                    "training ones as well, the same to the last bit, so the accuracy is too good; "
                    "leave one of each out",
                    stacklevel=2,
                )
        return self._loaded

    def _split(self, labels: Tensor, groups: Tensor | None) -> dict[str, Tensor]:
        """Returns the splits' indices; fewer items of ``train_images`` are a subset of more."""
        total = self.hparams.get("train_images") or len(labels)
        if total > len(labels):
            raise ValueError(f"train_images is {total}, but the training set has {len(labels)}")
        labels = labels.cpu()
        self._check_present(labels)
        fraction, seed = self.hparams["validation_fraction"], self.hparams["seed"]
        sizes = compute_split_sizes(total, fraction)
        order = stratified_order(labels, seed)[:total]
        if groups is not None:
            shares = [fraction, (1 - fraction) / 2, (1 - fraction) / 2]
            parts = split_groups(labels[order], groups[order], shares, seed)
            validation, weights, alphas = (order[part] for part in parts)
            if 2 * len(validation) < sizes["validation"]:
                warnings.warn(
                    f"{len(validation)} training {self.called} are for validation, and "
                    f"{sizes['validation']} were to be: groups are large or few; add groups, or "
                    "trust what validation tells less",
                    stacklevel=2,
                )
        else:
            held = hold_out(labels[order], sizes["validation"])
            validation, rest = order[held], order[~held]
            weights, alphas = rest.tensor_split([len(rest) - len(rest) // 2])
        if not len(validation):
            raise ValueError(f"no {self.word} is left for validation; add some to each class")
        self._doubt(labels, weights, alphas)
        return {"validation": validation, "weights": weights, "alphas": alphas}

    def _doubt(self, labels: Tensor, weights: Tensor, alphas: Tensor) -> None:
        """Warns of classes that teach weights or alphas alone; ValueError if one teaches none."""
        counts = [labels[part].bincount(minlength=self.num_classes) for part in (weights, alphas)]
        if lost := self._name_all(counts[0] + counts[1] == 0):
            raise ValueError(
                f"all groups of {lost} are needed for validation, and none is left to train with; "
                "add groups, or set another data.seed"
            )
        if once := self._name_all(counts[0] + counts[1] == 1):
            warnings.warn(
                f"only one training {self.word} is left of {once}: a search learns either weights "
                "or alphas from it; add some",
                stacklevel=2,
            )
        elif absent := self._name_all((counts[0] == 0) | (counts[1] == 0)):
            warnings.warn(
                f"all groups of {absent} are on one side: a search learns either weights or alphas "
                "from them; add groups",
                stacklevel=2,
            )

    def _check_present(self, labels: Tensor) -> None:
        """Raises ValueError if a class has no training item; these have the labels (N,)."""
        if absent := self._name_all(labels.bincount(minlength=self.num_classes) == 0):
            raise ValueError(
                f"the training set has no {self.word} of {absent}; add some, or leave the class out"
            )

    def _name_all(self, flags: Tensor) -> str:
        """Returns the names of the flagged classes in words, from flags ``(classes,)``."""
        labels = flags.nonzero().flatten().tolist()
        return list_names([str(k) if (n := self.class_names) is None else n[k] for k in labels])


def describe_changes(changes: RandomChanges | None) -> dict[str, Any] | None:
    """Returns class and arguments of an augmentation as plain values; None without one."""
    return None if changes is None else changes.describe()
