"""A Lightning data module of the user's, as a run needs it."""

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from reprlib import repr as short
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from darts_lite.data.batches import Batch
from darts_lite.data.split_data import SplitData, check_settings
from darts_lite.data.splits import compute_split_sizes
from darts_lite.distributed.ranks import Shard
from darts_lite.storage.components import build_loaded, class_path

HOOKS = ("on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device")
"""Methods of a data module that would not be called."""
CHECKED = 1000
"""Largest number of items by which a resumed run recognises its data."""


class PairedData(SplitData):
    """Makes pairs of batches for a search from a Lightning data module.

    Its items are pairs of an input ``(C, S, S)`` and a target: a label, numbers ``(k,)``, or maps.
    Items are read from the data sets behind its loaders; batches, order and shares of several
    processes are made here, so that a run goes on exactly. If it has no loader of validation, a
    part of the training items is kept for it. Random numbers of torch alone make augmentation
    repeatable.

    Args:
        module: Class of the data module, or its path ``module.Name``, whose module is imported.
        settings: Arguments of the class, as plain values.
        num_classes: Number of classes, or of what else a net answers with; null takes the first
            size of targets that are numbers.
        seed: Seed of the splits; the order of batches follows the run's seed.
        validation_fraction: Part of the training items that is kept for validation, if need be.
        search_batches_per_epoch: As in `darts_lite.ImageData`, and so are the next four.
        least_batches_per_epoch: Likewise.
        search_batch_size: Likewise.
        batch_size: Likewise.
        evaluation_batch_size: Likewise.

    Raises:
        ValueError: if the module is unknown, cannot be built, or gives other items.
    """

    named_by = "module"

    def __init__(
        self,
        module: str | type[LightningDataModule],
        settings: dict[str, Any] | None = None,
        num_classes: int | None = None,
        seed: int = 0,
        validation_fraction: float = 0.1,
        search_batches_per_epoch: int | None = None,
        least_batches_per_epoch: int = 1,
        search_batch_size: int = 64,
        batch_size: int = 128,
        evaluation_batch_size: int = 1000,
    ) -> None:
        super().__init__()
        if isinstance(module, LightningDataModule):
            raise ValueError(
                f"module is an object of {class_path(type(module))}; give the class, and its "
                "arguments as settings, so that checkpoints can tell of them"
            )
        given: dict[str, Any] = {
            "module": module if isinstance(module, str) else class_path(module),
            "settings": dict(settings or {}),
            "num_classes": num_classes,
            "seed": seed,
            "validation_fraction": validation_fraction,
            "search_batches_per_epoch": search_batches_per_epoch,
            "least_batches_per_epoch": least_batches_per_epoch,
            "search_batch_size": search_batch_size,
            "batch_size": batch_size,
            "evaluation_batch_size": evaluation_batch_size,
        }
        check_settings(given)
        self.save_hyperparameters(given, logger=False)
        self.splits = {}
        self._module = _build_module(given["module"], given["settings"])
        self._parts: dict[str, tuple[Dataset[Any], Callable[[list[Any]], Any]]] = {}
        self._held: tuple[int, Callable[[list[Any]], Any]] | None = None
        self._module.prepare_data()
        self._module.setup("fit")
        trained = _find_loader(self._module, "train_dataloader")
        if trained is None:
            raise ValueError(f"data.module: {given['module']} has no train_dataloader; add one")
        self._parts["train"] = trained
        inputs, targets = self._collate("train", [0])
        self.in_channels, self.image_size = inputs.shape[1:3]
        self.num_classes = _count_answers(targets, num_classes)

    @property
    def data_source(self) -> str:
        return f"data module {self.hparams['module']}"

    @property
    def checksum(self) -> int:
        """CRC-32 of the first test items, or of validation where there is no test."""
        part, chosen = "test", [*range(min(CHECKED, self.test_count))]
        if not chosen:
            part, chosen = "train", self.splits["validation"][:CHECKED].tolist()
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            inputs, targets = self._collate(part, chosen)
        return zlib.crc32(targets.numpy().tobytes(), zlib.crc32(inputs.numpy().tobytes()))

    @property
    def test_count(self) -> int:
        return len(self._parts["test"][0]) if "test" in self._parts else 0  # type: ignore[arg-type]

    def setup(self, stage: str) -> None:
        """Finds the splits; raises ValueError if there are too few items."""
        if self.splits:
            return
        dataset, collate = self._parts["train"]
        count = _count(dataset)
        held = _find_loader(self._module, "val_dataloader")
        if held is not None:
            whole: ConcatDataset[Any] = ConcatDataset([dataset, held[0]])
            self._parts["train"] = whole, collate
            self._held = count, held[1]
            order = _shuffle(count, self.hparams["seed"])
            weights, alphas = order.tensor_split([count - count // 2])
            validation = torch.arange(count, len(whole))
        else:
            sizes = compute_split_sizes(count, self.hparams["validation_fraction"])
            order = _shuffle(count, self.hparams["seed"])
            validation, weights, alphas = order.split([*sizes.values()])
        self.splits = {"validation": validation, "weights": weights, "alphas": alphas}
        self._module.setup("test")
        if (tested := _find_loader(self._module, "test_dataloader")) is not None:
            self._parts["test"] = tested
        else:
            warnings.warn(
                f"{self.hparams['module']} has no test_dataloader, so nothing is tested",
                stacklevel=2,
            )
        if any(part is dataset for part, _ in filter(None, (held, tested))):
            raise ValueError(
                f"{self.hparams['module']} gives the training items again for validation or test; "
                "give other items"
            )

    def read(self, part: str, chosen: Tensor, shard: Shard, use: str) -> Batch:
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        inputs, targets = self._collate(part, chosen.tolist())
        return inputs.to(device), targets.to(device)

    def _collate(self, part: str, chosen: Sequence[int]) -> Batch:
        """Returns inputs and targets of items as tensors; raises ValueError if they are others."""
        dataset, collate = self._parts[part]
        if part == "train" and self._held is not None and min(chosen) >= self._held[0]:
            collate = self._held[1]  # items of validation lie behind, and no batch has both
        try:
            batch = collate([dataset[index] for index in chosen])
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"items {short([*chosen])} of {self.hparams['module']} make no batch: {error}"
            ) from error
        inputs, targets = batch if isinstance(batch, list | tuple) and len(batch) == 2 else (0, 0)
        if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
            raise ValueError(
                f"items of {self.hparams['module']} must be pairs of an input and a target, as "
                f"tensors or numbers; a batch of them is {short(batch)}"
            )
        if inputs.ndim != 4 or inputs.shape[2] != inputs.shape[3]:
            raise ValueError(
                f"inputs of {self.hparams['module']} must have the shape (channels, side, side), "
                f"with as many rows as columns; they have {tuple(inputs.shape[1:])}; a row of "
                "numbers is a map of side 1"
            )
        if targets.is_floating_point() and targets.ndim == 1:
            raise ValueError(
                f"targets of {self.hparams['module']} are single numbers; give each as a tensor of "
                "the shape (1,), as answers are (B, 1)"
            )
        return inputs.float(), targets.float() if targets.is_floating_point() else targets.long()


def _build_module(path: str, settings: Mapping[str, Any]) -> LightningDataModule:
    """Builds a data module; raises ValueError for an unknown class, or one with `HOOKS`."""
    module: LightningDataModule = build_loaded("data.module", path, settings, LightningDataModule)
    for hook in HOOKS:
        if getattr(type(module), hook) is not getattr(LightningDataModule, hook):
            raise ValueError(
                f"data.module: {path} overrides {hook}, and only its data sets are read; do that "
                "in the data set or in collate_fn"
            )
    return module


def _open_loader(loader: Any, name: str) -> tuple[Dataset[Any], Callable[[list[Any]], Any]]:
    """Returns the data set behind a loader, and what makes a batch of its items."""
    data = loader.dataset if isinstance(loader, DataLoader) else None
    if data is None or isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise ValueError(
            f"{name} must return one torch DataLoader of a data set with numbered items and a "
            f"length; it is {short(loader)}"
        )
    sampler = loader.sampler
    whole = type(sampler) in (SequentialSampler, RandomSampler) and len(sampler) == len(data)
    if not whole or type(loader.batch_sampler) not in (BatchSampler, type(None)):
        raise ValueError(
            f"{name} chooses items by a sampler, which would not be asked; take a "
            "torch.utils.data.Subset of the data set instead"
        )
    if not len(data):
        raise ValueError(f"{name} has no items; add some, or leave it out")
    return loader.dataset, loader.collate_fn


def _find_loader(
    module: LightningDataModule, name: str
) -> tuple[Dataset[Any], Callable[[list[Any]], Any]] | None:
    """Returns what `_open_loader` does for a loader of a module; None if it defines none."""
    if getattr(type(module), name) is getattr(LightningDataModule, name):
        return None
    return _open_loader(getattr(module, name)(), name)


def _count(dataset: Any) -> int:
    return len(dataset)


def _shuffle(count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _count_answers(targets: Tensor, given: int | None) -> int:
    """Returns the number of classes, or of what else a net answers with."""
    if given is not None:
        return given
    if not targets.is_floating_point():
        raise ValueError(
            "targets are whole numbers, and so labels; give their number as data.num_classes, or "
            "give floats for a regression"
        )
    return targets.shape[1]
