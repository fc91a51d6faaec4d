"""Whether budgets are kept and expected costs are exact, in the space of all chains.

Random shares and random budgets on several costs at once: each net that is derived is built, and
its costs are counted from its modules; latencies are those of random tables. Expected costs are
compared with means over drawn chains, and their gradients with finite differences.

    python benchmarks/exactness.py

Results: docs/benchmarks/layers.md.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import torch
from search_step import table
from torch import Tensor, nn

from darts_lite import LayerSpace, Net
from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.costs import FORMAT, flash, measure_costs, multiply_adds, parameters
from darts_lite.derivation.rules import derive
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point
from darts_lite.space.layers.chain_costs import LATENCY, list_kinds

SPACE, IMAGES = LayerSpace(), Images(1, 10, 28)
COSTS = ("parameters", "multiply_adds", "flash", "memory")


def draw_shares(seed: int) -> dict[str, Tensor]:
    """Returns random shares of all choices."""
    torch.manual_seed(seed)
    return {name: torch.randn(g.shape).softmax(dim=1) for name, g in SPACE.groups.items()}


def count_costs(net: nn.Module) -> dict[str, float]:
    """Counts the costs of a net from its modules; memory from the maps between them."""
    x = torch.zeros(1, IMAGES.channels, IMAGES.side, IMAGES.side)
    held: list[int] = []

    def hear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        held.append(inputs[0].numel() + output.numel())

    layers = [one for one in net.modules() if isinstance(one, nn.Conv2d | nn.Linear | nn.AvgPool2d)]
    hooks = [layer.register_forward_hook(hear) for layer in layers]
    counts = {
        "parameters": parameters(net, x),
        "multiply_adds": multiply_adds(net, x),
        "flash": flash(net, x),
    }
    for hook in hooks:
        hook.remove()
    return counts | {"memory": float(max(held))}  # without what a residual block keeps


def draw_table(random: Random) -> dict[str, Any]:
    """Returns a table of random latencies, as in a file; many of its numbers are 0."""
    most = (1e-2, 1e-6, 1e-6)  # milliseconds of a layer, a multiply-add and a number held
    rates = {
        kind: [random.choice((0.0, largest * random.random())) for largest in most]
        for kind in list_kinds(SPACE)
    }
    side = [IMAGES.channels, IMAGES.side, IMAGES.side]
    about = {"cost": LATENCY, "space": json.loads(json.dumps(SPACE.to_dict())), "images": side}
    return {"format": FORMAT, **about, "classes": IMAGES.classes, "device": "cpu", "rates": rates}


def count_broken(budgets: int) -> tuple[int, list[float]]:
    """Returns how many derived nets are above a budget, and how much of the budgets they use."""
    random, broken, used = Random(0), 0, []
    for seed in range(budgets):
        some = SPACE.build(SPACE.architecture(random_point(SPACE.sizes, random)).choices)
        names = random.sample((*COSTS, LATENCY), random.randint(1, len(COSTS)))
        latencies = draw_table(random)
        latency = SPACE.read_costs(latencies)
        limits = {
            name: int(measure_costs(SPACE, name, IMAGES).of(some))
            for name in names
            if name != LATENCY
        }
        rule = WithinBudget(
            parameters=limits.get("parameters"),
            multiply_adds=limits.get("multiply_adds"),
            flash=limits.get("flash"),
            memory=limits.get("memory"),
            latency=latency.of(some) if LATENCY in names else None,
            latency_table=latencies,
        ).with_data(IMAGES.channels, IMAGES.classes, IMAGES.side)
        found = derive(SPACE, draw_shares(seed), {}, rule)
        counted = count_costs(Net(found, IMAGES.channels, IMAGES.classes).eval())
        late = rule.latency is not None and latency.of(found) > rule.latency * (1 + 1e-12)
        broken += late or any(counted[name] > limit for name, limit in limits.items())
        used.append(max(rule.use(SPACE, found)))
    return broken, used


def compare_means(draws: int) -> list[list[str]]:
    """Returns for each cost the expected one, the mean over drawn chains, and the slopes' error."""
    shares, rows = draw_shares(0), []
    drawn = {key: torch.multinomial(each, draws, True).T.tolist() for key, each in shares.items()}
    chains = [
        SPACE.build(SPACE.name_options({key: each[number] for key, each in drawn.items()}))
        for number in range(draws)
    ]
    for name in COSTS:
        costs = measure_costs(SPACE, name, IMAGES)
        found = [costs.of(chain) for chain in chains]
        error = statistics.stdev(found) / draws**0.5
        expected, mean = float(costs.expected(shares)), statistics.fmean(found)
        apart = f"{(expected - mean) / error:+.2f}"
        rows.append([name, f"{expected:,.1f}", f"{mean:,.1f}", f"{error:,.1f}", apart])
        rows[-1].append(f"{compare_slopes(name, shares):.1e}")
    return rows


def compare_slopes(name: str, shares: Mapping[str, Tensor]) -> float:
    """Returns the largest difference of a gradient from finite differences, as a share of it."""
    costs = measure_costs(SPACE, name, IMAGES)
    exact = {key: rows.double().requires_grad_() for key, rows in shares.items()}
    gradients = torch.autograd.grad(costs.expected(exact), [*exact.values()])
    largest, scale = 0.0, max(float(gradient.abs().max()) for gradient in gradients)
    for key, gradient in zip(exact, gradients, strict=True):
        step = torch.zeros_like(exact[key])
        step[-1, 0] = 1e-5
        ends = [
            float(costs.expected({**exact, key: (exact[key] + sign * step).detach()}).detach())
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / 2e-5
        largest = max(largest, abs(float(gradient[-1, 0]) - slope) / scale)
    return largest


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints how many budgets were broken, and how exact the expected costs are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--budgets", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=100_000)
    options = parser.parse_args(arguments)
    broken, used = count_broken(options.budgets)
    print(f"{broken} of {options.budgets} derived nets are above a budget; of the tightest limit")
    print(f"they use {100 * statistics.median(used):.1f} % (median), at most {max(used):.4f}")
    head = ["cost", "expected", "mean", "its error", "apart, in errors", "slopes apart"]
    print(table(head, compare_means(options.draws)))


if __name__ == "__main__":
    main()
