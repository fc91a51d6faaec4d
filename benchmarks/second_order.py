"""How far the published second-order gradient is from the exact one, and what it costs.

A small supernet of the published space after some steps of its weights, on real digits in float64:
the alphas' gradient through the unrolled weight step by differentiating it (exact), by the
published difference at several radii, and of first order. Errors are relative to the exact one.

    python benchmarks/second_order.py

Results: docs/benchmarks/methods.md.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import torch
from search_step import spread, table
from systems import digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from darts_lite.networks.folded.executor import Folded
from darts_lite.networks.supernet import Supernet
from darts_lite.search.bilevel import (
    ArchitectureGradient,
    FirstOrder,
    Loss,
    SecondOrder,
    list_weights,
)
from darts_lite.search.supernet_loss import SupernetLoss
from darts_lite.space.cells.search_space import darts_space
from darts_lite.training.optimizers import darts_sgd

WAYS: dict[str, ArchitectureGradient] = {
    "exact": SecondOrder(),
    **{f"radius {radius:g}": SecondOrder(radius) for radius in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)},
    "first order": FirstOrder(),
}


def measure(seed: int, steps: int, batch: int, size: int) -> dict[str, tuple[float, float]]:
    """Relative error and seconds of each way."""
    torch.manual_seed(seed)
    supernet = Supernet(darts_space(channels=4, cells=3, nodes=2), 1, 10, Folded()).double()
    alphas = list(supernet.alphas.values())
    for alpha in alphas:
        nn.init.normal_(alpha, std=0.1)
    optimizer = darts_sgd(supernet.weights())
    halves, _ = digits(batch, size)
    (x, y), (validation_x, validation_y) = (
        (torch.from_numpy(images).double(), torch.from_numpy(labels)) for images, labels in halves
    )

    def loss(images: Tensor, labels: Tensor) -> Loss:
        def of_weights(weights: Sequence[Tensor] | None) -> Tensor:
            mixing = {kind: alpha.softmax(dim=-1) for kind, alpha in supernet.alphas.items()}
            return SupernetLoss(supernet, images, labels, mixing, list_weights(optimizer))(weights)

        return of_weights

    for _ in range(steps):
        mixing = {kind: alpha.detach().softmax(dim=-1) for kind, alpha in supernet.alphas.items()}
        optimizer.zero_grad()
        cross_entropy(supernet(x, mixing), y).backward()
        optimizer.step()
    found, seconds = {}, {}
    for name, gradient in WAYS.items():
        start = time.perf_counter()
        parts = gradient(loss(x, y), loss(validation_x, validation_y), alphas, optimizer, 1.0)
        seconds[name] = time.perf_counter() - start
        found[name] = torch.cat([part.flatten() for part in parts])
    exact = found["exact"]
    errors = {name: float((value - exact).norm() / exact.norm()) for name, value in found.items()}
    return {name: (errors[name], seconds[name]) for name in WAYS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row per way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of the weights, before")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=14)
    options = parser.parse_args(arguments)
    runs = [
        measure(seed, options.steps, options.batch, options.size) for seed in range(options.seeds)
    ]
    rows = []
    for name in WAYS:
        errors, seconds = zip(*(run[name] for run in runs), strict=True)
        low, middle, high = min(errors), statistics.median(errors), max(errors)
        rows.append((name, f"{middle:.1e} ({low:.1e}-{high:.1e})", spread(seconds, 2)))
    print(table(("gradient", "relative error", "seconds"), rows))


if __name__ == "__main__":
    main()
