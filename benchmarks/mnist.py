"""What `configs/mnist.yaml` finds, against nets made by hand, random ones and a published one.

Every row is a net, a seed and a training set: all of MNIST's training images or 5,000 of them, less
the tenth that is kept for validation. All but the tutorial's net are trained with the preset's
recipe, by `fit` in a process of its own; on 5,000 images for `SMALL_EPOCHS` epochs.

    tutorial   two convolutions and two linear layers, as the tutorial trains it (mnist_nets.py)
    separable  made by hand (mnist_nets.py)
    found      searched with the row's seed on all images, and retrained
    random n   drawn from the space among those within `LIKE` of the found ones' mean size
    published  the cells that khanrc/pt.darts found on MNIST, in the channels that come nearest
    mnist_small, mnist_best: the presets of these names, where asked for

Finished rows are in the file of results and are not made again; a row that was cut off goes on.
Seconds compare within one machine and number of threads only, and where nothing ran beside.

    python benchmarks/mnist.py --results mnist.jsonl --logs logs/mnist_rows --nets tutorial found
    python benchmarks/mnist.py --results mnist.jsonl --logs logs/mnist_rows --plot accuracy.png

Results: benchmarks/README.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from matplotlib.figure import Figure
from mnist_nets import train_separable, train_tutorial
from search_step import table
from trials import read

from darts_lite import Architecture, SearchSpace
from darts_lite.costs import CostTable, parameters
from darts_lite.encoding import any_architecture
from darts_lite.net import Net
from darts_lite.trust import percentile, percentile_interval, random_architectures

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
PRESETS = ("mnist_small", "mnist_best")
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

Row = tuple[str, int, int | None]
"""Net, seed, images of the training set."""


def preset(name: str) -> dict[str, Any]:
    """A configuration of this project."""
    content: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    return content


def rows_of(options: argparse.Namespace) -> list[Row]:
    """All rows that are asked for, those that others need first."""
    sets: list[int | None] = [{"all": None, "5000": SMALL_IMAGES}[name] for name in options.sets]
    return [
        (net, seed, images)
        for images in sets
        for name in options.nets
        for seed in range(options.seeds)
        for net in ([f"random {n}" for n in range(RANDOM_NETS)] if name == "random" else [name])
        if images is None or name not in ("tutorial", *PRESETS)
    ]


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
            line = train_tutorial(seed, root=self.root)
        elif net == "separable":
            parts = (config[name]["init_args"] for name in ("model", "data"))
            line = train_separable(seed, *parts)
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
        config = preset(net if net in PRESETS else "mnist")
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
            space = SearchSpace(**preset("mnist")["model"]["init_args"]["space"]["init_args"])
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


def random_like(space: SearchSpace, size: float, count: int) -> list[Architecture]:
    """The first architectures of a fixed draw that have about so many parameters.

    Raises:
        ValueError: if there are fewer.
    """
    costs = CostTable.measure(space, parameters, 1, 10, 28)
    drawn = random_architectures(space, DRAWS, Random(0), any_architecture(space))
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


def report(lines: Sequence[Mapping[str, Any]]) -> str:
    """Tables: every net, and how the found one ranks among the random ones."""
    parts = []
    for images in (None, SMALL_IMAGES):
        of_set = [line for line in lines if line["images"] == images]
        if of_set:
            parts.append(f"{images or 'All'} training images:\n\n{nets_table(of_set)}")
        if ranked := rank(of_set):
            parts.append(ranked)
    return "\n\n".join(parts)


def nets_table(lines: Sequence[Mapping[str, Any]]) -> str:
    """A line per net: means over seeds."""
    rows = []
    for net in dict.fromkeys(line["net"] for line in lines):
        own = [line for line in lines if line["net"] == net]
        accuracies = [100 * line["test_accuracy"] for line in own]
        each = ", ".join(f"{value:.2f}" for value in accuracies)
        seconds = {
            name: statistics.median(line.get(name) or 0.0 for line in own)
            for name in ("search_seconds", "retrain_seconds", "wall_seconds")
        }
        rows.append(
            (
                *(net, f"{statistics.fmean(accuracies):.3f}", each),
                f"{statistics.fmean(line['params'] for line in own):,.0f}",
                f"{statistics.fmean(line['macs'] for line in own):,.0f}",
                *(f"{seconds[name]:.0f}" for name in seconds),
                *(
                    ", ".join(sorted({str(line[name]) for line in own}))
                    for name in ("threads", "date")
                ),
            )
        )
    header = (
        *("net", "test, %", "by seed", "parameters", "multiply-adds"),
        *("search, s", "retraining, s", "in all, s", "threads", "date"),
    )
    return table(header, rows)


def rank(lines: Sequence[Mapping[str, Any]]) -> str:
    """How many of the random nets the found one beats, by the mean over the seeds they share."""
    by_net: dict[str, dict[int, float]] = {}
    for line in lines:
        by_net.setdefault(line["net"], {})[line["seed"]] = 100 * line["test_accuracy"]
    found = by_net.get("found", {})
    others = {
        net: [(found[seed], of_net[seed]) for seed in found.keys() & of_net.keys()]
        for net, of_net in by_net.items()
        if net.startswith("random")
    }
    gains = [statistics.fmean(a - b for a, b in pairs) for pairs in others.values() if pairs]
    if not gains:
        return ""
    percent = percentile(0.0, [-gain for gain in gains])
    low, high = percentile_interval(percent, len(gains))
    return (
        f"The found nets beat {percent:.0f} % of {len(gains)} random ones (95 % interval {low:.0f} "
        f"to {high:.0f} %); by {statistics.fmean(gains):+.3f} points on average, paired by seed "
        f"(least {min(gains):+.3f}, largest {max(gains):+.3f})."
    )


def plot(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy against parameters, multiply-adds and seconds; all training images."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    nets = dict.fromkeys(line["net"].partition(" ")[0] for line in lines)
    titles = {"params": "parameters", "macs": "multiply-adds", "seconds": "seconds of training"}
    for panel, (key, title) in zip(panels, titles.items(), strict=True):
        for number, kind in enumerate(nets):
            own = [line for line in lines if line["net"].partition(" ")[0] == kind]
            points = [
                (cost_of(line, key), 100 * line["test_accuracy"])
                for line in own
                if line["images"] is None
            ]
            if points:
                marker = "os^vDP*"[number % 7]
                panel.plot(*zip(*points, strict=True), marker, label=kind, fillstyle="none")
        panel.set_xscale("log")
        panel.set_xlabel(title)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy, %")
    panels[0].legend()
    return figure


def cost_of(line: Mapping[str, Any], key: str) -> float:
    """What a net costs; its seconds are those of search and retraining."""
    if key == "seconds":
        searched, trained = line.get("search_seconds") or 0.0, line.get("retrain_seconds")
        return float(searched + trained if trained else line["seconds"])
    return float(line[key])


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes the rows that are missing, then prints and plots all."""
    kinds = ("tutorial", "separable", "found", "random", "published", *PRESETS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--results", type=Path, required=True, help="file of finished rows")
    parser.add_argument("--logs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--nets", nargs="*", choices=kinds, default=[], help="rows to make")
    parser.add_argument("--sets", nargs="+", choices=("all", "5000"), default=["all"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--root", help="data folder")
    parser.add_argument("--threads", type=int, help="of each run")
    parser.add_argument("--part", default="0/1", help="k/n: every n-th row from number k on")
    parser.add_argument("--plot", type=Path, help="picture to write")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    runs = Runs(options.logs, options.results, options.root)
    number, parts = map(int, options.part.split("/"))
    for row in rows_of(options)[number::parts]:
        if row not in {(x["net"], x["seed"], x["images"]) for x in read(options.results)}:
            line = runs.make(row)
            with options.results.open("a") as file:
                print(json.dumps(line), file=file, flush=True)
            print(line, file=sys.stderr, flush=True)
    lines = read(options.results)
    print(report(lines))
    if options.plot:
        plot(lines).savefig(options.plot, dpi=120)


if __name__ == "__main__":
    main()
