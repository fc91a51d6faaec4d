"""Two nets made by hand, which a searched one has to beat: the tutorial's and a separable one.

The tutorial's net is that of PyTorch's and Lightning's introductions to MNIST; `train_tutorial`
trains it as they do. The separable one is as small as the searched nets and is trained with their
recipe.

    python benchmarks/mnist_nets.py --seed 0      # the tutorial's net, five epochs

Results: docs/benchmarks.md.
"""

import argparse
import json
import time
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import seed_everything
from quiet import quiet_trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from darts_lite.data.images.datasets import find_root
from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.costs import multiply_adds
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.operations import depthwise_separable
from darts_lite.training.memory import keep_freed_memory


class TutorialNet(nn.Module):
    """Two convolutions and two linear layers: 1,199,882 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout2d(0.25)),
        )
        self.hidden, self.dropout = nn.Linear(9216, 128), nn.Dropout2d(0.5)
        self.classifier = nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 1, 28, 28)`` -> logarithms of probabilities ``(B, 10)``."""
        hidden = F.relu(self.hidden(self.convolutions(images).flatten(1)))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "dropout2d: Received a 2-D input")  # as it is written
            hidden = self.dropout(hidden)
        return F.log_softmax(self.classifier(hidden), dim=1)


def train_tutorial(seed: int, epochs: int = 5, root: str | None = None) -> dict[str, Any]:
    """Trains the tutorial's net as the tutorial does, and tests it once.

    Args:
        seed: Of weights, dropout and order.
        epochs: Over all 60,000 images.
        root: The data folder; see `darts_lite.data.images.datasets.find_root`.
    """
    seed_everything(seed, verbose=False)
    transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    folder = find_root(root)
    training = DataLoader(MNIST(folder, True, transform), batch_size=64, shuffle=True)
    test = DataLoader(MNIST(folder, False, transform), batch_size=1000)
    net = TutorialNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.5)
    start = time.monotonic()
    for _ in range(epochs):
        for images, labels in training:
            optimizer.zero_grad()
            F.nll_loss(net(images), labels).backward()
            optimizer.step()
    seconds = time.monotonic() - start
    net.eval()
    with torch.no_grad():
        hits = [net(images).argmax(dim=1) == labels for images, labels in test]
    return {
        "net": "tutorial",
        "seed": seed,
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "params": sum(p.numel() for p in net.parameters()),
        "macs": int(multiply_adds(net, torch.zeros(1, 1, 28, 28))),
        "test_accuracy": float(torch.cat(hits).float().mean()),
    }


class SeparableNet(nn.Module):
    """A stem and separable convolutions one behind the other, the map halved on the way.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of classes.
        channels: Of the stem's output and then after each separable convolution.
        strides: Of the separable convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: Sequence[int] = (24, 48, 48, 80, 80, 80),
        strides: Sequence[int] = (2, 1, 2, 1, 1),
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, channels[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(channels[0]),
        )
        for (inside, outside), stride in zip(pairwise(channels), strides, strict=True):
            rectifier, depthwise, _, _ = depthwise_separable(inside, 3, stride, 1, True)
            pointwise = nn.Conv2d(inside, outside, 1, bias=False)
            self.layers.extend([rectifier, depthwise, pointwise, nn.BatchNorm2d(outside)])
        self.classifier = nn.Linear(channels[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> logits ``(B, classes)``."""
        return self.classifier(self.layers(images).relu().mean(dim=(2, 3)))

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, None]:
        """As a searched net: the logits, and those of no auxiliary head."""
        return self(images), None

    def set_drop_path(self, rate: float) -> None:
        """There are no branches to drop."""


class SeparableTraining(Retraining):
    """Trains `SeparableNet` with the recipe of a searched net."""

    def __init__(self, in_channels: int = 1, num_classes: int = 10, **recipe: Any) -> None:
        super().__init__("DARTS_V2", in_channels, num_classes, channels=4, cells=3, **recipe)
        net: Any = SeparableNet(in_channels, num_classes)
        self.net = net.to(memory_format=torch.channels_last)


def train_separable(
    seed: int, recipe: Mapping[str, Any], data: Mapping[str, Any]
) -> dict[str, Any]:
    """Trains `SeparableNet` with the recipe of a searched net, and tests it once.

    Args:
        seed: Of weights, order and augmentation.
        recipe: The settings of `Retraining` as a configuration has them.
        data: Those of `ImageData`.
    """
    keep_freed_memory()  # as the command does that trains the searched ones
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(SeparableTraining, "model", skip={"in_channels", "num_classes"})
    parser.add_class_arguments(ImageData, "data")
    seed_everything(seed, verbose=False)
    made = parser.instantiate(parser.parse_object({"model": dict(recipe), "data": dict(data)}))
    trainer = quiet_trainer(
        max_epochs=made.model.max_epochs,
        accelerator="cpu",
    )
    start = time.monotonic()
    trainer.fit(made.model, datamodule=made.data)
    seconds = time.monotonic() - start
    validated = float(trainer.callback_metrics["retraining/validation_accuracy"])
    (tested,) = trainer.test(made.model, datamodule=made.data, verbose=False)
    net = made.model.net
    return {
        "retrain_seconds": round(seconds, 1),
        "params": sum(p.numel() for p in net.parameters()),
        "macs": int(multiply_adds(made.model, torch.zeros(1, 1, 28, 28))),
        "validation_accuracy": validated,
        "test_accuracy": tested["test/accuracy"],
        "data_source": made.data.data_source,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints how the tutorial's net does, as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--root", help="data folder")
    options = parser.parse_args(arguments)
    print(json.dumps(train_tutorial(options.seed, options.epochs, options.root)))


if __name__ == "__main__":
    main()
