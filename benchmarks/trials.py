"""Nets trained on two thirds of the training set and compared on the rest, a line of JSON each.

The test set is not read. Lines that a file has already are not made again, and several processes
may fill one file, each with its part of the lines.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import seed_everything
from measuring import check_output
from quiet import quiet_trainer, silence

from darts_lite import Augmentation, ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.stages import multiply_adds

VALIDATION_FRACTION = 1 / 3


@dataclass(frozen=True)
class Recipe:
    """How a net is trained; the fields are those of `Retraining`, `Augmentation` and `method`."""

    method: Literal["AdamW", "SGD"] = "AdamW"
    lr: float = 0.01
    weight_decay: float = 0.05
    batch_size: int = 256
    schedule: Literal["one_cycle", "cosine", "warm_cosine"] = "one_cycle"
    label_smoothing: float = 0.05
    ema_decay: float = 0.0
    drop_path: float = 0.0
    auxiliary_weight: float = 0.0
    mixup: float = 0.0
    smallest_side: float = 1.0
    test_shifts: int = 0
    shift: int = 1
    rotation: float = 7.0
    scale: float = 0.07
    elastic: float = 0.0
    erase: int = 0

    def optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """AdamW, or SGD with Nesterov's momentum."""
        if self.method == "AdamW":
            return torch.optim.AdamW(
                parameters, self.lr, weight_decay=self.weight_decay, fused=True
            )
        return torch.optim.SGD(
            parameters, self.lr, momentum=0.9, weight_decay=self.weight_decay, nesterov=True
        )

    def augmentation(self) -> Augmentation:
        """Of the training images."""
        return Augmentation(self.shift, self.rotation, self.scale, self.elastic, erase=self.erase)

    def retraining(self, kind: Callable[..., Retraining], **net: Any) -> Retraining:
        """What trains a net so."""
        names = (
            *("schedule", "label_smoothing", "ema_decay", "drop_path", "auxiliary_weight"),
            *("mixup", "smallest_side", "test_shifts"),
        )
        chosen = {name: getattr(self, name) for name in names}
        return kind(optimizer=self.optimizer, **chosen, **net)


MakeNet = Callable[[Recipe], Retraining]
Trial = tuple[MakeNet, Recipe, int]
"""A net's maker, its recipe, and for how many epochs it is trained."""


def validated(
    make: MakeNet, recipe: Recipe, epochs: int, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Trains a net and validates it once, at the end.

    Args:
        make: Makes what is trained, as the recipe says.
        recipe: Also of the data.
        epochs: How long.
        seed: Of weights, order and augmentation.
        options: See `parser`.
    """
    seed_everything(seed, verbose=False)
    data = ImageData(
        options.dataset,
        root=options.root,
        validation_fraction=VALIDATION_FRACTION,
        train_images=options.images,
        batch_size=recipe.batch_size,
        augmentation=recipe.augmentation(),
    )
    model = make(recipe)
    trainer = quiet_trainer(
        max_epochs=epochs,
        check_val_every_n_epoch=epochs,
        accelerator="cpu",
        num_sanity_val_steps=0,
    )
    start = time.monotonic()
    trainer.fit(model, datamodule=data)
    return {
        "validation_accuracy": float(trainer.callback_metrics["retraining/validation_accuracy"]),
        "validation_loss": float(trainer.callback_metrics["retraining/validation_loss"]),
        "seconds": round(time.monotonic() - start, 1),
        "params": sum(parameter.numel() for parameter in model.net.parameters()),
        "macs": multiply_adds(model.net, data.shape),
        "epochs": epochs,
        "recipe": asdict(recipe),
        "data": data.data_source,
    }


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all comparisons share."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--results", type=Path, required=True, help="file of finished lines")
    made.add_argument("--seeds", type=int, default=2)
    made.add_argument("--epochs", type=int, default=8)
    made.add_argument("--dataset", default="MNIST")
    made.add_argument("--images", type=int, help="use only so many of the training set")
    made.add_argument("--root", help="data folder")
    made.add_argument("--threads", type=int, help="of each process")
    made.add_argument("--part", default="0/1", help="k/n: every n-th line from number k on")
    return made


def fill(trials: Mapping[str, Trial], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Makes the lines that are missing, and returns all.

    Args:
        trials: By name.
        options: See `parser`.
    """
    check_output("--results", options.results)
    silence(options.threads)
    number, parts = map(int, options.part.split("/"))
    wanted = [(name, seed) for seed in range(options.seeds) for name in trials]
    for name, seed in wanted[number::parts]:
        if (name, seed) not in {(line["name"], line["seed"]) for line in read(options.results)}:
            make, recipe, epochs = trials[name]
            line = {"name": name, "seed": seed}
            line |= validated(make, recipe, epochs, seed, options)
            with options.results.open("a") as file:
                print(json.dumps(line), file=file, flush=True)
            print(line, file=sys.stderr, flush=True)
    return [line for line in read(options.results) if (line["name"], line["seed"]) in wanted]


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, if there is one."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def means(lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, float]:
    """Of each name, the mean over its lines."""
    names = dict.fromkeys(line["name"] for line in lines)
    return {
        name: statistics.fmean(line[key] for line in lines if line["name"] == name)
        for name in names
    }
