"""The retraining recipe: one choice after the other is changed, and the validation accuracy taken.

One net, cells made by hand in the skeleton of `configs/mnist_cells.yaml`, is trained on 40,000
images of the training set and validated on the other 20,000; the test set is not read. Differences
are paired by seed.

    python benchmarks/ablation.py --results ablation.jsonl
    python benchmarks/ablation.py --results small.jsonl --channels 16 --rows base "shift 2"

Results: docs/benchmarks/cells.md.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from search_step import table
from skeletons import CHAIN, HALF, joined, searched
from trials import MakeNet, Recipe, fill, parser

BASE = Recipe()
SGD = replace(BASE, method="SGD", lr=0.6, weight_decay=5e-4)
ROWS = {
    "base": BASE,
    "no augmentation": replace(BASE, shift=0, rotation=0.0, scale=0.0),
    "no shift": replace(BASE, shift=0),
    "shift 2": replace(BASE, shift=2),
    "no rotation": replace(BASE, rotation=0.0),
    "rotation 12": replace(BASE, rotation=12.0),
    "no scale": replace(BASE, scale=0.0),
    "scale 0.15": replace(BASE, scale=0.15),
    "elastic 0.4": replace(BASE, elastic=0.4),
    "elastic 0.8": replace(BASE, elastic=0.8),
    "all stronger": replace(BASE, shift=2, rotation=12.0, scale=0.15, elastic=0.8),
    "erase 8": replace(BASE, erase=8),
    "mixup 0.1": replace(BASE, mixup=0.1),
    "cosine": replace(BASE, schedule="cosine"),
    "warm cosine": replace(BASE, schedule="warm_cosine"),
    "no smoothing": replace(BASE, label_smoothing=0.0),
    "smoothing 0.1": replace(BASE, label_smoothing=0.1),
    "average 0.99": replace(BASE, ema_decay=0.99),
    "average 0.998": replace(BASE, ema_decay=0.998),
    "drop path 0.1": replace(BASE, drop_path=0.1),
    "batch 128, rate 0.007": replace(BASE, batch_size=128, lr=0.007),
    "rate 0.005": replace(BASE, lr=0.005),
    "rate 0.02": replace(BASE, lr=0.02),
    "decay 0.01": replace(BASE, weight_decay=0.01),
    "decay 0.2": replace(BASE, weight_decay=0.2),
    "SGD, rate 0.6": SGD,
    "SGD, batch 128, rate 0.4": replace(SGD, batch_size=128, lr=0.4),
    "from side 0.7": replace(BASE, smallest_side=0.7),
    "test shifts 1": replace(BASE, test_shifts=1),
}


def the_net(channels: int) -> MakeNet:
    """What all rows train: the cell `CHAIN`, which `configs/mnist_cells.yaml` has found once."""
    return searched(joined(CHAIN, channels, 2, [1], HALF))


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what is missing, then prints what is known."""
    made = parser(__doc__)
    made.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    made.add_argument("--channels", type=int, default=32, help="of the net")
    options = made.parse_args(arguments)
    net = the_net(options.channels)
    lines = fill({name: (net, ROWS[name], options.epochs) for name in options.rows}, options)
    by_row = {name: {x["seed"]: x for x in lines if x["name"] == name} for name in options.rows}
    base, rows = by_row["base"], []
    for name, of_row in by_row.items():
        shared = sorted(base.keys() & of_row.keys())
        if shared:
            accuracy = 100 * statistics.fmean(of_row[k]["validation_accuracy"] for k in of_row)
            gain, loss = (
                statistics.fmean(of_row[seed][key] - base[seed][key] for seed in shared)
                for key in ("validation_accuracy", "validation_loss")
            )
            time = statistics.fmean(
                of_row[seed]["seconds"] / base[seed]["seconds"] for seed in shared
            )
            seen = (f"{accuracy:.3f} %", f"{100 * gain:+.3f}", f"{loss:+.4f}", f"{time:.2f}")
            rows.append((name, len(of_row), *seen))
    print(table(("row", "seeds", "validation", "gain, points", "loss", "time"), rows))


if __name__ == "__main__":
    main()
