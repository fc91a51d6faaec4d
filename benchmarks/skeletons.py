"""Where to reduce, how many cells, which stem: skeletons of about equal size, compared.

The outer search: in each skeleton, the same random cells of the preset's candidates are trained for
a few epochs, and validated on images that were not trained on. Two epochs' seconds tell the price.

    python benchmarks/skeletons.py --results skeletons.jsonl

Results: benchmarks/README.md.
"""

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from mnist_nets import SeparableTraining
from search_step import table
from trials import MakeNet, Recipe, fill, means, parser

from darts_lite import Architecture, Retraining
from darts_lite.encoding import any_architecture
from darts_lite.search_space import mnist_space
from darts_lite.trust import random_architectures

SKELETONS: dict[str, dict[str, Any]] = {
    "16, 3 cells, 0 reduces": {"channels": 16, "cells": 3, "reductions": (0,)},
    "16, 3 cells, 1 reduces": {"channels": 16, "cells": 3, "reductions": (1,)},
    "16, 4 cells, 1 reduces": {"channels": 16, "cells": 4, "reductions": (1,)},
    "16, 4 cells, 2 reduces": {"channels": 16, "cells": 4, "reductions": (2,)},
    "14, 4 cells, 0 reduces": {"channels": 14, "cells": 4, "reductions": (0,)},
    "12, 4 cells, 1 and 3 reduce": {"channels": 12, "cells": 4, "reductions": (1, 3)},
    "8, 4 cells, 0 and 2 reduce, twice": {
        "channels": 8,
        "cells": 4,
        "reductions": (0, 2),
        "stem": "conv3x3_narrow",
    },
    "16, 3 cells, 0 reduces, twice": {
        "channels": 16,
        "cells": 3,
        "reductions": (0,),
        "stem": "conv3x3_twice_stride2",
    },
}
RANDOM_CELLS = 3


def searched(architecture: Architecture, skeleton: dict[str, Any]) -> MakeNet:
    """The net of an architecture in a skeleton."""
    return lambda recipe: recipe.retraining(partial(Retraining, architecture), **skeleton)


def separable(recipe: Recipe) -> Retraining:
    """The net made by hand."""
    return recipe.retraining(SeparableTraining)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what is missing, then prints what is known."""
    options = parser(__doc__).parse_args(arguments)
    space = mnist_space()
    cells = random_architectures(space, RANDOM_CELLS, Random(0), any_architecture(space))
    trials: dict[str, tuple[MakeNet, Recipe, int]] = {
        "separable": (separable, Recipe(), options.epochs)
    }
    for number, architecture in enumerate(cells):
        for name, skeleton in SKELETONS.items():
            make = searched(architecture, {"stem": "conv3x3_stride2", **skeleton})
            trials[f"{name} | {number}"] = (make, Recipe(), options.epochs)
    lines = fill(trials, options)
    for line in lines:
        line["name"] = line["name"].partition(" | ")[0]
    accuracy, loss, params, macs, seconds = (
        means(lines, key)
        for key in ("validation_accuracy", "validation_loss", "params", "macs", "seconds")
    )
    rows = [
        (
            *(name, f"{100 * accuracy[name]:.2f} %", f"{loss[name]:.4f}"),
            *(f"{params[name]:,.0f}", f"{macs[name]:,.0f}", f"{seconds[name]:.0f}"),
        )
        for name in accuracy
    ]
    header = ("skeleton", "validation", "loss", "parameters", "multiply-adds", "s")
    print(table(header, rows))


if __name__ == "__main__":
    main()
