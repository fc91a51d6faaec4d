"""NAS-Bench-Macro through this project's supernet: are nets ranked as in its table?

The space has 8 layers, each an identity or an inverted residual (3x3 with expansion 3, or 5x5 with
expansion 6). A supernet with a fourth of the channels is trained on uniformly drawn paths, and
values every net of a band of parameters by its loss on held-out images. The ranks are compared with
those of the table, whose nets were trained on CIFAR-10: this is transfer.

    python benchmarks/nasbench_macro.py --table nas-bench-macro_cifar10.json --dataset FashionMNIST

The table is not part of this project (NAS-Bench-Macro, Apache-2.0).
Results: docs/benchmarks/layers.md.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, Self, cast

import torch
from lightning.pytorch import seed_everything
from quiet import quiet_trainer, silence
from ranking import correlate_ranks
from torch import Tensor, nn

from darts_lite import Exploration, ImageData, RandomSearch, SharedWeights
from darts_lite.networks.kinds import KINDS, Kind
from darts_lite.search.supernet_loss import evaluate
from darts_lite.space.groups import Choices, Diagram, Group
from darts_lite.space.protocol import HEADER, AnyArchitecture, Space

OPTIONS = ("identity", "3x3, expansion 3", "5x5, expansion 6")
LAYERS = ((64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1))
"""Channels that leave each layer, and its stride, as they follow from the costs of the table."""
STEM, LAST = 32, 1280
LEAST, MOST = 810_000, 950_000
"""Parameters of the nets that are compared."""
RIVALS = (1, 5, 10, 20)
DRAWS = 10_000


def convolve(
    channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Builds a convolution and its norm."""
    padding = kernel // 2
    layer = nn.Conv2d(channels, width, kernel, stride, padding, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(width)]


class Layer(nn.Module):
    """One of the `OPTIONS` of a layer."""

    def __init__(self, option: str, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and channels == width and option != OPTIONS[0]
        layers: list[nn.Module] = []
        if option != OPTIONS[0]:
            kernel, expansion = int(option[0]), int(option[-1])
            inner = expansion * channels
            layers += [*convolve(channels, inner, 1), nn.ReLU6()]
            layers += [*convolve(inner, inner, kernel, stride, inner), nn.ReLU6()]
            layers += convolve(inner, width, 1)
        elif stride > 1 or channels != width:
            layers += convolve(channels, width, 1, stride)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, channels, H, W)`` to ``(B, width, H / stride, W / stride)``."""
        return x + self.layers(x) if self.residual else self.layers(x)


class MacroNet(nn.Module):
    """The net with some options of each layer, of which shares are mixed."""

    def __init__(
        self, options: Sequence[Sequence[str]], in_channels: int, num_classes: int, part: int = 1
    ) -> None:
        super().__init__()
        widths = [STEM // part, *(width // part for width, _ in LAYERS)]
        self.stem = nn.Sequential(*convolve(in_channels, widths[0], 3), nn.ReLU6())
        self.layers = nn.ModuleList(
            nn.ModuleList(Layer(option, *sides, stride) for option in known)
            for known, sides, (_, stride) in zip(options, pairwise(widths), LAYERS, strict=True)
        )
        self.last = nn.Sequential(*convolve(widths[-1], LAST // part, 1), nn.ReLU6())
        self.classifier = nn.Linear(LAST // part, num_classes)

    def forward(self, images: Tensor, shares: Sequence[Sequence[float] | Tensor]) -> Tensor:
        """Maps images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        x = self.stem(images)
        for options, mixing in zip(self.layers, shares, strict=True):
            parts = [
                option(x) if share == 1 else share * option(x)
                for option, share in zip(cast(nn.ModuleList, options), mixing, strict=True)
                if share != 0
            ]
            x = torch.stack(parts).sum(dim=0) if len(parts) > 1 else parts[0]
        return self.classifier(self.last(x).mean(dim=(2, 3)))


@dataclass(frozen=True)
class MacroChain(AnyArchitecture):
    """A net of the table; `key` has a digit for each layer."""

    key: str
    space: str = "NAS-Bench-Macro"
    found_by: dict[str, Any] = field(default_factory=dict)

    @property
    def choices(self) -> Choices:
        return {"layer": tuple(((OPTIONS[int(digit)], 0),) for digit in self.key)}

    @property
    def diagrams(self) -> dict[str, Diagram]:
        return {}  # nets that are only valued are not drawn

    @property
    def frame(self) -> Mapping[str, Any]:
        return {}

    @property
    def size(self) -> str:
        return f"{len(self.key)} layers"

    @property
    def sees(self) -> bool:
        return True

    def genotype(self) -> str:
        return self.key

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        return self

    def to_dict(self) -> dict[str, Any]:
        return {**HEADER, "kind": "macro", "key": self.key}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(value["key"])


@dataclass(frozen=True)
class MacroSpace(Space):
    """The space of the table, whose supernet has a part of the channels."""

    part: int = 4
    name: str = "NAS-Bench-Macro"

    @property
    def groups(self) -> dict[str, Group]:
        rows = tuple(f"layer {place + 1}" for place in range(len(LAYERS)))
        return {"layer": Group("layers", rows, OPTIONS, (1,) * len(rows))}

    def build(self, choices: Choices, found_by: Mapping[str, Any] | None = None) -> MacroChain:
        key = "".join(str(OPTIONS.index(option)) for ((option, _),) in choices["layer"])
        return MacroChain(key, found_by=dict(found_by or {}))

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        return self


class MixedMacro:
    """Computes the supernet."""

    searched_channels = None

    def __init__(
        self, space: MacroSpace, in_channels: int, num_classes: int, partial: int, skip: bool
    ) -> None:
        every = [OPTIONS] * len(LAYERS)
        self.skeleton: Any = MacroNet(every, in_channels, num_classes, space.part)

    def run_with(self, executor: Any) -> None:
        """There is one way to compute it."""

    def operations(self) -> dict[str, nn.Module]:
        """Returns the layers, by name."""
        return {f"layer {place + 1}": each for place, each in enumerate(self.skeleton.layers)}

    def __call__(self, images: Tensor, mixing: Mapping[str, Tensor]) -> Tensor:
        """Computes logits ``(B, classes)``."""
        rows = mixing["layer"]
        return self.skeleton(images, rows if rows.requires_grad else rows.tolist())


def refuse(*_: Any) -> Any:
    """Raises ValueError: nets of this space are only valued, not trained."""
    raise ValueError("nets of NAS-Bench-Macro are looked up in its table; search only")


KINDS["macro"] = Kind(MacroSpace, MacroChain, MixedMacro, refuse, refuse, refuse, refuse)


def value_nets(
    nets: Sequence[MacroChain], options: argparse.Namespace
) -> tuple[dict[str, float], float]:
    """Trains a supernet; returns the negated loss of each net with its weights, and seconds."""
    seed_everything(options.seed, verbose=False)
    data = ImageData(options.dataset, search_batch_size=64, search_batches_per_epoch=options.steps)
    space = MacroSpace()
    model = Exploration(
        space, strategy=RandomSearch(), evaluator=SharedWeights(1.0, 1), evaluations=1
    )
    trainer = quiet_trainer(max_epochs=2, limit_val_batches=0, accelerator="cpu")
    start = time.monotonic()
    trainer.fit(model, datamodule=data)
    images, labels = next(iter(data.val_dataloader()))
    batch = images[: options.images], labels[: options.images]
    values = {net.key: -evaluate(model.supernet, space.path(net), [batch])[0] for net in nets}
    return values, time.monotonic() - start


def report(table: Mapping[str, Mapping[str, Any]], values: Mapping[str, float]) -> str:
    """Returns Spearman's coefficient, and how the best by value does beside random picks."""
    accuracies = {key: table[key]["mean_acc"] for key in values}
    random, ranked = Random(0), sorted(values, key=lambda key: -values[key])
    best = [
        fmean(max(random.sample([*accuracies.values()], count)) for _ in range(DRAWS))
        for count in RIVALS
    ]
    told = ", ".join(f"{value:.2f} ({n})" for n, value in zip(RIVALS, best, strict=True))
    place = sorted(accuracies.values(), reverse=True).index(accuracies[ranked[0]]) + 1
    coefficient = correlate_ranks([*accuracies.values()], [values[key] for key in accuracies])
    return (
        f"Spearman {coefficient:.2f} of {len(values)} nets; the best by value: {ranked[0]}, "
        f"{accuracies[ranked[0]]:.2f} %, place {place}; the best of the first five: "
        f"{max(accuracies[key] for key in ranked[:5]):.2f} %; means of the best of random ones: "
        f"{told}; the best of all: {max(accuracies.values()):.2f} %"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Values the nets of the band, and prints how they rank in the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--dataset", default="FashionMNIST")
    parser.add_argument("--steps", type=int, default=4000, help="of the supernet")
    parser.add_argument("--images", type=int, default=1000, help="that are held out")
    parser.add_argument("--least", type=int, default=LEAST, help="parameters")
    parser.add_argument("--most", type=int, default=MOST, help="parameters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    table = json.loads(options.table.read_text())
    silence(options.threads)
    band = [key for key in table if options.least <= table[key]["params"] <= options.most]
    if len(band) < max(RIVALS):
        parser.error(f"the table has {len(band)} nets with {options.least} to {options.most}")
    values, seconds = value_nets([MacroChain(key) for key in band], options)
    print(f"{options.dataset}, seed {options.seed}, {seconds:.0f} s: {report(table, values)}")


if __name__ == "__main__":
    main()
