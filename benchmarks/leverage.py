"""Whether a search can pay: how much more chains of equal cost differ than seeds do.

Random chains of `darts_lite.LayerSpace` that use 90 to 100 % of their budgets are trained with two
seeds each, as in `pays.py` but for fewer epochs, on 12,000 images of the training set, and
validated on 6,000 others of it. The leverage L is the deviation of chains, less the part that seeds
make of it, over the deviation of seeds, which is one for all budgets: few chains say little of it.

    python benchmarks/leverage.py --results mnist.jsonl
    python benchmarks/leverage.py --results clothes.jsonl --dataset FashionMNIST

A smaller number of ``--chains``, or of ``--seeds``, may come first: lines are made once.

Results: docs/benchmarks/layers.md.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from pays import IMAGES, RECIPES, SIZES, SPACE
from search_step import table
from trials import Recipe, Trial, fill, parser

from darts_lite.derivation.budget import WithinBudget
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.space.walks import draw_within

CHAINS = 40
Budget = Mapping[str, Any]
BUDGETS: Mapping[str, Budget] = {
    **{f"{count} parameters": {"parameters": count} for count in (1000, 2000, 5000, 10_000)},
    **{f"{count} multiply-adds": {"multiply_adds": count} for count in (100_000, 300_000)},
    **{f"{count} bytes": {"memory": count} for count in (2048, 4096)},
    **{
        f"{count}, {100 * count}, {memory}": {
            "parameters": count,
            "multiply_adds": 100 * count,
            "memory": memory,
        }
        for count, memory in ((count, 1024 * kilobytes) for count, kilobytes in SIZES)
    },
}
"""One cost alone, then as a device has them: parameters, multiply-adds and bytes of activations."""


def draw(budget: Budget, number: int) -> AnyArchitecture:
    """Draws a chain that uses a budget; the same one for the same number."""
    rule = WithinBudget(**budget).with_data(IMAGES.channels, IMAGES.classes, IMAGES.side)
    found = draw_within(SPACE, partial(rule.excess, SPACE), Random(f"{budget}/{number}"))
    if found is None:
        raise SystemExit(f"no chain uses most of {budget}")
    return found


def train(budget: Budget, number: int, recipe: Recipe) -> Retraining:
    """Makes the training of a drawn chain."""
    return recipe.retraining(Retraining, architecture=draw(budget, number))


def main(arguments: Sequence[str] | None = None) -> None:
    """Fills the file of results, and prints the table."""
    options = parser(__doc__)
    options.set_defaults(images=18_000)
    options.add_argument("--chains", type=int, default=CHAINS)
    given = options.parse_args(arguments)
    recipe = RECIPES[given.dataset]
    trials: dict[str, Trial] = {
        f"{name}, chain {number}": (partial(train, budget, number), recipe, given.epochs)
        for number in range(given.chains)
        for name, budget in BUDGETS.items()
    }
    lines = fill(trials, given)
    print(report(lines) if lines else "nothing is trained yet")


def group(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[list[float]]]]:
    """Returns each budget with the accuracies of its chains, in per cent."""
    found = []
    for budget in BUDGETS:
        chains: dict[str, list[float]] = {}
        for line in lines:
            if line["name"].rpartition(",")[0] == budget:
                chains.setdefault(line["name"], []).append(100 * line["validation_accuracy"])
        if chains:
            found.append((budget, [*chains.values()]))
    return found


def report(lines: Sequence[Mapping[str, Any]]) -> str:
    """Returns the table of all budgets, and the deviation of seeds."""
    groups = group(lines)
    repeated = [each for _, chains in groups for each in chains if len(each) > 1]
    variances = [statistics.variance(each) for each in repeated]
    seeds = math.sqrt(statistics.fmean(variances)) if repeated else math.nan
    rows = [describe(*each, seeds) for each in groups]
    shown = table([*rows[0]], [[*row.values()] for row in rows])
    return f"{shown}\ndeviation of seeds: {seeds:.2f} (of {len(repeated)} chains)"


def describe(budget: str, chains: Sequence[Sequence[float]], seeds: float) -> dict[str, Any]:
    """Returns the row of a budget; `seeds` is the deviation of seeds."""
    means = [statistics.fmean(each) for each in chains]
    of_means = statistics.variance(means) if len(means) > 1 else math.nan
    chance = statistics.fmean(seeds**2 / len(each) for each in chains)
    spread = math.sqrt(max(of_means - chance, 0.0))  # NaN of one chain
    return {
        "budget": budget,
        "chains": len(chains),
        "mean": f"{statistics.fmean(means):.2f}",
        "best": f"{max(means):.2f}",
        "deviation": f"{spread:.2f}",
        "L": f"{spread / seeds:.1f}" if seeds else "-",
    }


if __name__ == "__main__":
    main()
