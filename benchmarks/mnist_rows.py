"""The rows of `mnist.py`: what each trains, in which folder, and how it is run."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from mnist_nets import train_separable, train_tutorial
from trials import read

from darts_lite import Architecture, SearchSpace
from darts_lite.derivation.consensus import draw_architectures
from darts_lite.derivation.costs import measure_costs
from darts_lite.networks.net import Net
from darts_lite.space.cost_tables import Images
from darts_lite.space.protocol import AnyArchitecture

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
PRESETS = ("mnist", "mnist_small", "mnist_best")
RANDOM_NETS = 10
LIKE = 0.1
DRAWS = 2000
SMALL_IMAGES, SMALL_EPOCHS = 5000, 20
PUBLISHED = (
    "Genotype("
    "normal=[[('sep_conv_3x3', 0), ('dil_conv_5x5', 1)], [('sep_conv_3x3', 2), ('sep_conv_3x3', 1)]"
    ", [('dil_conv_5x5', 3), ('sep_conv_3x3', 1)], [('sep_conv_5x5', 4), ('dil_conv_5x5', 3)]], "
    "normal_concat=range(2, 6), "
    "reduce=[[('dil_conv_3x3', 0), ('sep_conv_3x3', 1)], [('avg_pool_3x3', 0), ('skip_connect', 2)]"
    ", [('dil_conv_5x5', 3), ('avg_pool_3x3', 0)], [('dil_conv_3x3', 1), ('max_pool_3x3', 0)]], "
    "reduce_concat=range(2, 6))"
)
"""MNIST's cells as https://github.com/khanrc/pt.darts reports them."""

SKELETON = ("channels", "cells", "reductions", "stem")
"""Settings of a retraining that change the skeleton."""

Row = tuple[str, int, int | None]
"""Net, seed, images of the training set."""


def preset(name: str) -> dict[str, Any]:
    """A configuration of this project."""
    content: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    return content


def retrained_space() -> SearchSpace:
    """The space of `mnist_cells`, in the skeleton that it retrains."""
    config = preset("mnist_cells")
    space = dict(config["model"]["init_args"]["space"]["init_args"])
    settings = config["retraining"]["init_args"]
    return SearchSpace(**space | {name: settings[name] for name in SKELETON if name in settings})


class Runs:
    """Runs of `fit`, each in a process of its own, and what they leave.

    Args:
        logs: Folder of all runs.
        results: File of finished rows.
        root: Data folder; None looks where the package does.
    """

    def __init__(self, logs: Path, results: Path, root: str | None) -> None:
        self.logs, self.results, self.root = logs, results, root

    def make(self, row: Row) -> dict[str, Any]:
        """The line of a row.

        Raises:
            ValueError: if it needs a row that is not there yet.
            subprocess.CalledProcessError: if its run ended with an error.
        """
        net, seed, images = row
        start = time.monotonic()
        config = self.configuration(row)
        if net == "tutorial":
            line = alone(train_tutorial, seed, root=self.root)
        elif net == "separable":
            parts = (config[name]["init_args"] for name in ("model", "data"))
            line = alone(train_separable, seed, *parts)
        else:
            summary = self.fit(config)
            names = (
                *("test_accuracy", "validation_accuracy", "params", "macs", "search_seconds"),
                *("retrain_seconds", "architecture", "data_source", "device"),
            )
            line = {name: summary.get(name) for name in names}
        line |= {"net": net, "seed": seed, "images": images, "date": f"{date.today()}"}
        line |= {"wall_seconds": round(time.monotonic() - start, 1)}
        return line | {"torch": torch.__version__, "threads": torch.get_num_threads()}

    def configuration(self, row: Row) -> dict[str, Any]:
        """What `fit` is given for a row."""
        net, seed, images = row
        config = preset(net if net in PRESETS else "mnist_cells")
        config["seed_everything"] = seed
        config["run"] = {"name": self.name(row), "folder": str(self.logs), "resume": "auto"}
        config["data"]["init_args"] |= {"root": self.root, "train_images": images}
        if images is not None:
            config["retraining"]["init_args"]["max_epochs"] = SMALL_EPOCHS
        if net in PRESETS or (net == "found" and images is None):
            return config
        model = config.pop("retraining")
        config["retraining"] = None
        config["trainer"]["max_epochs"] = None  # the model's
        config["trainer"].pop("callbacks", None)
        if net != "found":  # each has a skeleton of its own
            for name in SKELETON:
                model["init_args"].pop(name, None)
        if net not in ("tutorial", "separable"):
            model["init_args"]["architecture"] = str(self.architecture(row))
        return config | {"model": model}

    def architecture(self, row: Row) -> Path:
        """The file of what a row trains."""
        net, seed, _ = row
        if net == "found":
            return self.folder(("found", seed, None)) / "architecture.json"
        path = self.logs / "architectures" / f"{net.replace(' ', '_')}.json"
        if not path.exists():
            space = retrained_space()
            size = self.found_size()
            if net == "published":
                published_like(space, size).save(path)
            else:
                for number, drawn in enumerate(random_like(space, size, RANDOM_NETS)):
                    drawn.save(path.with_name(f"random_{number}.json"))
        return path

    def found_size(self) -> float:
        """Mean parameters of what was found."""
        sizes = [
            x["params"] for x in read(self.results) if (x["net"], x["images"]) == ("found", None)
        ]
        if not sizes:
            raise ValueError("these rows are of the found nets' size; make the rows of found first")
        return statistics.fmean(sizes)

    def name(self, row: Row) -> str:
        """Of the run of a row."""
        net, seed, images = row
        return f"{net.replace(' ', '_')}-{images or 'all'}-{seed}"

    def folder(self, row: Row) -> Path:
        """The run of a row."""
        return self.logs / self.name(row) / "version_0"

    def fit(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Runs a configuration to its end, and returns its summary."""
        name = config["run"]["name"]
        path = self.logs / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(config)))
        search = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        with (self.logs / f"{name}.log").open("a") as log:
            subprocess.run(
                [sys.executable, "-m", "darts_lite", "fit", "--config", str(path)],
                check=True,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PYTHONPATH": search,
                    "OMP_NUM_THREADS": str(torch.get_num_threads()),
                },
            )
        summary: dict[str, Any] = json.loads(
            (self.logs / name / "version_0" / "summary.json").read_text()
        )
        return summary


def alone(train: Callable[..., dict[str, Any]], *args: Any, **settings: Any) -> dict[str, Any]:
    """What a function returns that runs in a process of its own, as every row does."""
    threads = (torch.get_num_threads(),)
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, threads) as process:
        return process.submit(train, *args, **settings).result()


def random_like(space: SearchSpace, size: float, count: int) -> list[AnyArchitecture]:
    """The first architectures of a fixed draw that have about so many parameters.

    Raises:
        ValueError: if there are fewer.
    """
    costs = measure_costs(space, "parameters", Images(1, 10, 28))
    drawn = draw_architectures(space, DRAWS, Random(0), space.first_architecture())
    like = [each for each in drawn if abs(costs.of(each) / size - 1) <= LIKE]
    if len(like) < count:
        raise ValueError(
            f"only {len(like)} of {len(drawn)} random nets have about {size:.0f} weights"
        )
    return like[:count]


def published_like(space: SearchSpace, size: float) -> Architecture:
    """The published cells in the preset's skeleton, of the channels that come nearest to a size."""
    made = [
        Architecture.from_genotype(PUBLISHED).with_skeleton(
            channels, space.cells, space.skeleton.reduction_cells, space.stem
        )
        for channels in range(2, 2 * space.channels)
    ]

    def distance(architecture: Architecture) -> float:
        with torch.device("meta"):
            return abs(sum(p.numel() for p in Net(architecture, 1, 10).parameters()) - size)

    return min(made, key=distance)
