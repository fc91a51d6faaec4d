"""Evaluators: they value architectures in searches without gradients."""

from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningModule

from darts_lite.networks.net import Net
from darts_lite.search.supernet_loss import answer
from darts_lite.space.cells.nasbench201 import DATASETS, read_table
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.training.optimizers import darts_sgd


class Evaluator(Protocol):
    """Values architectures; larger is better."""

    weights_epochs: float
    """Number of epochs, or part of one, that first train weights shared by all architectures."""

    def __call__(self, search: Any, architecture: AnyArchitecture) -> float:
        """Returns the value of an architecture of a `darts_lite.Exploration`'s space."""
        ...


class SharedWeights:
    """Accuracy, or score, on the ``alphas`` split, with weights that all architectures share.

    Norms use the statistics of each batch, since running ones belong to no architecture (SPOS,
    arXiv 1904.00420, section 3.4, recalibrates them for the same reason).

    Args:
        weights_epochs: Number of epochs, or part of one, that train the weights.
        batches: Number of batches of the split, of ``evaluation_batch_size``, for each value.
    """

    def __init__(self, weights_epochs: float = 3.0, batches: int = 2) -> None:
        _check_positive(weights_epochs=weights_epochs, batches=batches)
        self.weights_epochs = weights_epochs
        self.batches = batches

    def __call__(self, search: Any, architecture: AnyArchitecture) -> float:
        mixing = search.space.path(architecture, search.device)
        loader = islice(search.trainer.datamodule.alphas_dataloader(), self.batches)
        value: float = search.value(*answer(search.supernet, mixing, loader))
        return value


class FromScratch:
    """Accuracy, or score, on the ``alphas`` split after a short training on the ``weights`` one.

    Args:
        steps: Number of batches of the training; the learning rate falls along a cosine to 0.
        learning_rate: Learning rate at the start, of SGD with momentum.
    """

    weights_epochs = 0.0

    def __init__(self, steps: int = 100, learning_rate: float = 0.1) -> None:
        _check_positive(steps=steps, learning_rate=learning_rate)
        self.steps = steps
        self.learning_rate = learning_rate

    def __call__(self, search: Any, architecture: AnyArchitecture) -> float:
        # Lightning's one region of autocast would keep the casts of the first step's weights.
        with torch.autocast(search.device.type, enabled=False):
            return self._train(search, architecture)

    def _train(self, search: Any, architecture: AnyArchitecture) -> float:
        data = search.trainer.datamodule
        net = Net(architecture, search.hparams["in_channels"], search.hparams["num_classes"])
        net.to(search.device).to(memory_format=torch.channels_last)
        dtype = next(net.parameters()).dtype
        optimizer = darts_sgd(net.parameters())
        optimizer.param_groups[0]["lr"] = self.learning_rate
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        passes = chain.from_iterable(repeat(data.weights_dataloader()))
        for images, labels in islice(passes, self.steps):
            optimizer.zero_grad()
            search.loss(net(images.to(dtype)), labels).backward()
            optimizer.step()
            cosine.step()
        net.eval()
        batches = ((images.to(dtype), labels) for images, labels in data.alphas_dataloader())
        with torch.no_grad():
            answered = [(net(images), labels) for images, labels in batches]
        value: float = search.value(*map(torch.cat, zip(*answered, strict=True)))
        return value


class TableLookup:
    """Accuracy after 12 epochs that a table gives for an architecture of NAS-Bench-201.

    Args:
        path: Path of the table, see `darts_lite.space.cells.nasbench201.read_table`.
        dataset: Data set of the validation accuracy: cifar10, cifar100 or imagenet16.
    """

    weights_epochs = 0.0

    def __init__(self, path: str | Path, dataset: str = "cifar10") -> None:
        if dataset not in DATASETS:
            raise ValueError(f"unknown data set {dataset!r}; choose from {list(DATASETS)}")
        self.table = read_table(path)
        self.dataset = dataset

    def __call__(self, search: LightningModule, architecture: AnyArchitecture) -> float:
        text = architecture.genotype()
        if text not in self.table:
            raise ValueError(
                f"the table has no architecture {text}; use the search space nasbench201"
            )
        return self.table[text].validation[self.dataset]


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
