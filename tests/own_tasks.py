"""Data and networks of tasks other than classes, as users write them, for several tests."""

from collections.abc import Iterator
from typing import Any

import torch
from lightning import LightningDataModule
from run_helpers import some_digits
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from darts_lite import Choice, Task, Width

NUMBERS = Task("torch.nn.MSELoss", "torchmetrics.MeanAbsoluteError")


class Digits(LightningDataModule):
    """300 real digits, whose targets are ``labels``, ``numbers`` of the shape (1,), or ``maps``."""

    def __init__(self, targets: str = "numbers", side: int = 28) -> None:
        super().__init__()
        self.targets, self.side = targets, side

    def make(self, first: int, last: int) -> DataLoader[tuple[Tensor, ...]]:
        images, labels = (part[first:last] for part in some_digits())
        inputs = images[:, None, : self.side].float() / 255
        targets = {
            "labels": labels.long(),
            "numbers": labels[:, None] / 10,
            "single": labels / 10,
            "maps": (inputs > 0.5).long()[:, 0],
        }
        return DataLoader(TensorDataset(inputs, targets[self.targets]), 7)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self.make(0, 200)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self.make(240, 300)


class Watched(Digits):
    """The same with images for validation."""

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self.make(200, 240)


class Shaken(Watched):
    """The same, whose training items are changed where batches are made."""

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        def shake(items: list[tuple[Tensor, ...]]) -> list[Tensor]:
            inputs, targets = default_collate(items)
            return [inputs + 100, targets]

        return DataLoader(self.make(0, 200).dataset, 7, collate_fn=shake)


class Untested(LightningDataModule):
    """A data module whose items are no pairs."""

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(some_digits()[0])  # type: ignore[arg-type]


class Small(nn.Module):
    """Answers with ``num_classes`` numbers."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        width = Width(8, (2, 8))
        self.stem = nn.Conv2d(in_channels, width, 5, stride=4)
        kernels = {str(k): nn.Conv2d(width, 8, k, padding=k // 2) for k in (1, 3)}
        self.body, self.norm = Choice(kernels), nn.BatchNorm2d(8)
        self.last = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.body(torch.relu(self.stem(x))))
        return self.last(torch.relu(x).mean(dim=(2, 3)))


class Sampled(Digits):
    """Training and test items of one data set, told apart by samplers."""

    def make(self, first: int, last: int) -> DataLoader[tuple[Tensor, ...]]:
        data = super().make(0, 300).dataset
        return DataLoader(data, 7, sampler=SubsetRandomSampler(range(first, last)))


class Again(Digits):
    """A data module that tests on its training items."""

    def __init__(self) -> None:
        super().__init__()
        self.data = self.make(0, 300).dataset

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.data)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.data)


class Hooked(Digits):
    """A data module that changes batches elsewhere than in its data sets."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch


class Streamed(Digits):
    """A data module without numbered items."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream())


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        yield from some_digits()[0]


class Unlike(Digits):
    """Items of different shapes."""

    def train_dataloader(self) -> DataLoader[Any]:
        images, labels = some_digits()
        sides = [28] * 5 + [27] * 5
        pairs = [
            (image[None, :side, :side], label[None].float())
            for image, label, side in zip(images, labels, sides, strict=False)
        ]
        return DataLoader(pairs)  # type: ignore[arg-type]
