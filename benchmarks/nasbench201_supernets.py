"""Supernet searches in the space of NAS-Bench-201, whose finds are looked up in its table.

Each algorithm searches with several seeds, and what it finds is written to a file of results, a
line per search; searches that the file has already are not run again. With ``--table`` the finds
are looked up: CIFAR-10 test accuracy after 200 epochs, of an architecture found on another data set
unless ``--published`` is given. That is transfer, not the published comparison.

The protocol, fixed before the first look-up: MNIST, a stem that halves the images and has 8
channels, 3 cells (one per stage), 4 epochs of 150 steps with batches of 64, the first half epoch
without alphas; the weights' SGD at 0.05, the alphas' Adam at 0.003, beta-decay of strength 0.1,
the algorithms' own numbers those of configs/algorithms. SPOS trains its weights
for 3 of the epochs and then makes 100 evaluations.

``--published`` is the published protocol: CIFAR-10, 16 channels, 15 cells, 50 epochs; for a GPU.

    python benchmarks/nasbench201_supernets.py --results found.jsonl
    python benchmarks/nasbench201_supernets.py --results found.jsonl --table nasbench201.csv

Results: docs/benchmarks/methods.md.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
from measuring import check_output
from quiet import quiet_trainer
from search_step import table
from trials import read

from darts_lite import (
    ArchitectureSearch,
    BetaDecay,
    Dirichlet,
    DirichletAnchor,
    Evolution,
    Exploration,
    GumbelMax,
    ImageData,
    SharedWeights,
    nasbench201_space,
)
from darts_lite.space.cells.nasbench201 import read_table

WARMUP_EPOCHS = 0.5


def sgd(parameters: Any) -> torch.optim.Optimizer:
    """Of the weights, as in configs/mnist_cells.yaml."""
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=3e-4)


def adam(parameters: Any) -> torch.optim.Optimizer:
    """Of the alphas, as in configs/mnist_cells.yaml."""
    return torch.optim.Adam(parameters, lr=0.003, betas=(0.5, 0.999), weight_decay=1e-3)


def darts(**parts: Any) -> Callable[..., ArchitectureSearch]:
    """A search with alphas and these parts."""

    def make(**data: Any) -> ArchitectureSearch:
        return ArchitectureSearch(
            **data,
            weights_optimizer=sgd,
            alphas_optimizer=adam,
            warmup_epochs=WARMUP_EPOCHS,
            **parts,
        )

    return make


def spos(**data: Any) -> Exploration:
    """Shared weights and evolution."""
    return Exploration(
        **data,
        strategy=Evolution(20, 10),
        evaluator=SharedWeights(weights_epochs=3.0, batches=2),
        evaluations=100,
        weights_optimizer=sgd,
    )


ALGORITHMS: Mapping[str, Callable[..., ArchitectureSearch | Exploration]] = {
    "DARTS": darts(),
    "beta-decay": darts(regularizers=[BetaDecay(0.1)]),
    "PC-DARTS": darts(partial_channels=4, edge_weights=True),
    "GDAS": darts(relaxation=GumbelMax()),
    "DrNAS": darts(relaxation=Dirichlet(), regularizers=[DirichletAnchor()]),
    "SPOS": spos,
}


def search(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs one search; returns its line of results."""
    seed_everything(seed, verbose=False)
    published = options.published
    data = ImageData(
        dataset="CIFAR10" if published else "MNIST",
        search_batch_size=64,
        search_batches_per_epoch=None if published else options.steps,
    )
    small = replace(nasbench201_space(channels=4, cells=3), stem="conv3x3_stride2")  # 8 channels
    space = nasbench201_space() if published else small
    model = ALGORITHMS[name](
        space=space, in_channels=data.in_channels, num_classes=data.num_classes
    )
    trainer = quiet_trainer(
        max_epochs=50 if published else options.epochs,
        accelerator="cuda" if options.device == "cuda" else "cpu",
    )
    start = time.monotonic()
    trainer.fit(model, datamodule=data)
    architecture = model.derive()
    names = [operation for node in architecture.choices["normal"] for operation, _ in node]
    return {
        "algorithm": name,
        "seed": seed,
        "architecture": architecture.genotype(),
        "skips": names.count("skip_connect"),
        "seconds": round(time.monotonic() - start, 1),
        "protocol": "published" if published else f"MNIST, {options.epochs} x {options.steps}",
        "data": data.data_source,
    }


def look_up(path: str, found: Sequence[Mapping[str, Any]]) -> str:
    """Accuracies of what was found, per algorithm."""
    results = read_table(path)
    header = (
        *("algorithm", "seeds", "CIFAR-10 test, mean", "least", "largest"),
        *("skips of 6", "s per search"),
    )
    rows = []
    for name in ALGORITHMS:
        lines = [line for line in found if line["algorithm"] == name]
        if not lines:
            continue
        tests = [results[line["architecture"]].test["cifar10"] for line in lines]
        skips = ", ".join(str(line["skips"]) for line in lines)
        seconds = statistics.median(line["seconds"] for line in lines)
        mean = f"{statistics.mean(tests):.2f}"
        least, largest = f"{min(tests):.2f}", f"{max(tests):.2f}"
        rows.append((name, len(lines), mean, least, largest, skips, f"{seconds:.0f}"))
    every = [result.test["cifar10"] for result in results.values()]
    whole = f"The space: mean {statistics.mean(every):.2f}, best {max(every):.2f}."
    return f"{table(header, rows)}\n\n{whole}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is missing, then prints what is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--results", type=Path, required=True, help="file of finished searches")
    parser.add_argument("--table", help="CSV file of the benchmark's results, to look up finds")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=150, help="of an epoch")
    parser.add_argument("--published", action="store_true", help="CIFAR-10 at full size")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, and torch finds none here")
    check_output("--results", options.results)
    found = read(options.results)
    done = {(line["algorithm"], line["seed"]) for line in found}
    for seed in range(options.seeds):
        for name in options.algorithms:
            if (name, seed) not in done:
                found.append(search(name, seed, options))
                with options.results.open("a") as file:
                    print(json.dumps(found[-1]), file=file, flush=True)
                print(found[-1], file=sys.stderr, flush=True)
    if options.table:
        print(look_up(options.table, found))


if __name__ == "__main__":
    main()
