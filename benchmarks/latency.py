"""Compares how long chains take in LiteRT, in int8, with the sums of their layers.

    python benchmarks/latency.py --nets 20 --table litert.json

Layers of random chains are written as files of their own and timed; what a kind of layer takes is
fitted to them, and what that says of whole nets is set beside these nets' own times. The table is
one for `budget.latency_table`: a file of this form with times of a board is used alike. Each time
is the least of several, since others may use the machine. It needs the extra device.
Results: docs/benchmarks/devices.md.
"""

import argparse
import tempfile
import time
import timeit
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from random import Random

import torch
from quiet import silence
from torch import Tensor, nn

from darts_lite import LayerSpace, Net
from darts_lite.derivation.costs import save_table
from darts_lite.export.folding import fold_norms
from darts_lite.export.litert_int8 import quantize, spare_padding
from darts_lite.networks.layers.chain_measuring import measure_layers
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point

REPEATS, CALLS = 15, 20
"""How often a file is timed, and calls each time."""


def time_module(module: nn.Module, maps: Tensor) -> float:
    """Returns the milliseconds of a module in LiteRT, for one of maps ``(N, C, H, W)``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.tflite"
        with torch.inference_mode(False), torch.no_grad():
            body = fold_norms(module) if [*module.parameters()] else module
            quantize(
                spare_padding(nn.Sequential(body).eval(), maps[:1].clone()), maps.clone(), path
            )
        make = import_module("ai_edge_litert.interpreter").Interpreter
        interpreter = make(str(path), num_threads=1)
        interpreter.allocate_tensors()
        taken = timeit.repeat(interpreter.invoke, number=CALLS, repeat=REPEATS)
    return 1000 * min(taken) / CALLS


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each net, and how far the sums are from the nets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args(arguments)
    silence(1)
    warnings.simplefilter("ignore")  # of the converter
    torch.manual_seed(options.seed)
    space, images, random = LayerSpace(), Images(1, 10, 28), Random(options.seed)
    costs = measure_layers(space, "latency", time_module, images, "cpu")
    if options.table is not None:
        save_table(options.table, costs, space, "latency", images, "LiteRT, int8, on this machine")
    print(f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}")
    print("| net | multiply-adds | layers, ms | net, ms | ratio |\n| --- | --- | --- | --- | --- |")
    pairs = []
    for _ in range(options.nets):
        chain = space.build(space.architecture(random_point(space.sizes, random)).choices)
        net = Net(chain, images.channels, images.classes).eval()
        said, taken = costs.of(chain), time_module(net, torch.rand(8, 1, 28, 28))
        work = sum(step.multiply_adds for step in chain.steps(images))
        cells = f"{work:,.0f} | {said:.4f} | {taken:.4f} | {said / taken:.2f}"
        print(f"| {chain.genotype()} | {cells} |", flush=True)
        pairs.append((said, taken))
    said, taken = torch.tensor(pairs, dtype=torch.float64).T
    ranks = torch.stack([said.argsort().argsort(), taken.argsort().argsort()]).double()
    ratio = (said / taken).sort().values
    print(
        f"sum over net is {ratio[0]:.2f} to {ratio[-1]:.2f}, median {ratio.median():.2f}; "
        f"correlation {torch.corrcoef(torch.stack([said, taken]))[0, 1]:.3f}, of ranks "
        f"{torch.corrcoef(ranks)[0, 1]:.3f}"
    )


if __name__ == "__main__":
    main()
