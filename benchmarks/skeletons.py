"""Where to reduce, how many cells, how they are joined, which stem: skeletons compared.

The outer search: cells made by hand of the preset's candidates are trained for a few epochs in each
skeleton of about the preset's size, and validated on images that were not trained on.

    python benchmarks/skeletons.py --results skeletons.jsonl
    python benchmarks/skeletons.py --results large.jsonl --set large --seeds 1
    python benchmarks/skeletons.py --results widths.jsonl --set widths

The other sets train each net for about the same time instead of the same number of epochs:
``large`` skeletons of up to 300,000 parameters with more augmentation, ``widths`` the preset's
skeleton in fewer channels.

Results: docs/benchmarks/cells.md.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from mnist_nets import SeparableTraining
from search_step import table
from trials import MakeNet, Recipe, Trial, fill, means, parser

from darts_lite import Architecture, Retraining, SkeletonSettings
from darts_lite.space.cells.genotype import Cell

CHAIN: Cell = (
    (("dw_conv_3x3", 0),),
    (("dw_conv_5x5", 1),),
    (("max_pool_3x3", 1), ("dw_conv_5x5", 2)),
)
FOUR: Cell = (
    (("dw_conv_3x3", 0),),
    (("dw_conv_3x3", 1),),
    (("dw_conv_3x3", 2),),
    (("dw_conv_3x3", 3),),
)
EASED: Cell = (
    FOUR[0],
    (("skip_connect", 0), ("dw_conv_3x3", 1)),
    FOUR[2],
    (("skip_connect", 2), ("dw_conv_3x3", 3)),
)
SHORTCUTS: Cell = (
    (("dw_conv_3x3", 0),),
    (("skip_connect", 0), ("dw_conv_3x3", 1)),
    (("skip_connect", 1), ("dw_conv_3x3", 2)),
)
DENSE: Cell = (
    (("dw_conv_3x3", 0),),
    (("dw_conv_3x3", 0), ("dw_conv_3x3", 1)),
    (("skip_connect", 0), ("dw_conv_3x3", 1), ("dw_conv_3x3", 2)),
)
TWO: Cell = SHORTCUTS[:2]
OF_TWO_INPUTS: dict[str, Cell] = {
    "chain": ((("dw_conv_5x5", 1),), (("dw_conv_5x5", 2),)),
    "two edges a node": (
        (("dw_conv_5x5", 0), ("dw_conv_5x5", 1)),
        (("dw_conv_5x5", 1), ("max_pool_3x3", 2)),
    ),
}
"""Cells that also read the cell before the last one, as in DARTS."""


def joined(cell: Cell, channels: int, cells: int, reductions: Sequence[int], stem: str) -> Any:
    """An architecture in which a cell reads the one before it."""
    skeleton = SkeletonSettings(channels, cells, tuple(reductions), stem, "separable")
    return Architecture({"normal": cell}, {}, skeleton, "mnist")


def of_darts(cell: str, channels: int, cells: int) -> Any:
    """An architecture in DARTS' wiring, its second cell reducing."""
    skeleton = SkeletonSettings(channels, cells, (1,), "conv3x3_narrow_stride2")
    both = dict.fromkeys(("normal", "reduce"), OF_TWO_INPUTS[cell])
    return Architecture(both, {}, skeleton, "mnist")


HALF, WHOLE = "conv3x3_narrow_stride2", "conv3x3_narrow"
NETS: dict[str, Architecture] = {
    "DARTS' wiring, 16, 4 cells: two edges a node": of_darts("two edges a node", 16, 4),
    "DARTS' wiring, 16, 4 cells: chain": of_darts("chain", 16, 4),
    "DARTS' wiring, 24, 3 cells: chain": of_darts("chain", 24, 3),
    "32, 2 cells, 1 reduces: chain of three": joined(CHAIN, 32, 2, [1], HALF),
    "32, 2 cells, 1 reduces: chain of four": joined(FOUR, 32, 2, [1], HALF),
    "32, 2 cells, 1 reduces: chain of four, two shortcuts": joined(EASED, 32, 2, [1], HALF),
    "32, 2 cells, 1 reduces: dense": joined(DENSE, 32, 2, [1], HALF),
    "40, 2 cells, 1 reduces: shortcuts": joined(SHORTCUTS, 40, 2, [1], HALF),
    "48, 2 cells, 1 reduces: two": joined(TWO, 48, 2, [1], HALF),
    "24, 3 cells, 1 reduces: chain of three": joined(CHAIN, 24, 3, [1], HALF),
    "24 on the whole map, 2 cells, both reduce: two": joined(TWO, 24, 2, [0, 1], WHOLE),
    "20 on the whole map, 2 cells, both reduce: shortcuts": joined(SHORTCUTS, 20, 2, [0, 1], WHOLE),
    "16 on the whole map, 4 cells, 0 and 2 reduce: two": joined(TWO, 16, 4, [0, 2], WHOLE),
}

LARGE: dict[str, tuple[Architecture, int]] = {
    "64, 3 cells, 1 reduces: dense": (joined(DENSE, 64, 3, [1], HALF), 12),
    "96, 2 cells, 1 reduces: shortcuts": (joined(SHORTCUTS, 96, 2, [1], HALF), 14),
    "32 on the whole map, 3 cells, 0 and 1 reduce: dense": (
        joined(DENSE, 32, 3, [0, 1], WHOLE),
        11,
    ),
    "40 on the whole map, 4 cells, 0 and 2 reduce: dense": (
        joined(DENSE, 40, 4, [0, 2], WHOLE),
        6,
    ),
}
"""Nets, and epochs that take about as long."""
WIDTHS: dict[str, tuple[Architecture, int]] = {
    "32, chain of four, two shortcuts": (joined(EASED, 32, 2, [1], HALF), 8),
    "24, chain of four, two shortcuts": (joined(EASED, 24, 2, [1], HALF), 10),
    "24, dense": (joined(DENSE, 24, 2, [1], HALF), 9),
    "16, chain of four, two shortcuts": (joined(EASED, 16, 2, [1], HALF), 18),
    "16, dense": (joined(DENSE, 16, 2, [1], HALF), 17),
}
STRONGER = Recipe(shift=2, rotation=10.0, scale=0.1, elastic=0.4, test_shifts=1)
SHIFTED = Recipe(test_shifts=1)


def searched(architecture: Architecture) -> MakeNet:
    """The net of an architecture."""
    return lambda recipe: recipe.retraining(partial(Retraining, architecture))


def separable(recipe: Recipe) -> Retraining:
    """The net made by hand."""
    return recipe.retraining(SeparableTraining)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what is missing, then prints what is known."""
    made = parser(__doc__)
    made.add_argument("--set", choices=("sized", "large", "widths"), default="sized")
    options = made.parse_args(arguments)
    makers = {"separable, by hand": separable} | {k: searched(net) for k, net in NETS.items()}
    sets: dict[str, dict[str, Trial]] = {
        "sized": {name: (make, Recipe(), options.epochs) for name, make in makers.items()},
        "large": {k: (searched(net), STRONGER, epochs) for k, (net, epochs) in LARGE.items()},
        "widths": {k: (searched(net), SHIFTED, epochs) for k, (net, epochs) in WIDTHS.items()},
    }
    lines = fill(sets[options.set], options)
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
