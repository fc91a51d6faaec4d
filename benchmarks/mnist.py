"""What `configs/mnist_cells.yaml` finds, against nets by hand, random ones and a published one.

Every row is a net, a seed and a training set: all of MNIST's training images or 5,000 of them, less
the tenth that is kept for validation. All but the tutorial's net are trained with the preset's
recipe, each in a process of its own; on 5,000 images for `SMALL_EPOCHS` epochs. Rows of random and
published nets, and of found ones on 5,000 images, need those of the found ones on all images.

    tutorial   two convolutions and two linear layers, as the tutorial trains it (mnist_nets.py)
    separable  made by hand (mnist_nets.py)
    found      searched with the row's seed on all images, and retrained
    random n   drawn from the space among those within `LIKE` of the found ones' mean size
    published  the cells that khanrc/pt.darts found on MNIST, in the channels that come nearest
    mnist, mnist_small, mnist_best: the presets of these names, where asked for

Finished rows are in the file of results and are not made again; a row that was cut off goes on.
Seconds compare within one machine and number of threads only, and where nothing ran beside.

    python benchmarks/mnist.py --results mnist.jsonl --logs logs/mnist_rows --nets tutorial found
    python benchmarks/mnist.py --results mnist.jsonl --logs logs/mnist_rows --plot accuracy.png

Results: docs/benchmarks.md and docs/benchmarks/cells.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from measuring import check_output
from mnist_report import plot, report
from mnist_rows import PRESETS, RANDOM_NETS, SMALL_IMAGES, Row, Runs
from trials import read


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
    check_output("--results", options.results)
    if options.plot:
        check_output("--plot", options.plot)
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
