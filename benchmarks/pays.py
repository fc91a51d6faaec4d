"""Whether the search pays: found nets beside random ones and those made by hand, at equal budgets.

Every row is one net, trained in the same way on the same images and tested once, after its last
epoch. ``found`` is what one `darts_lite.PlayOff` found; ``random`` nets use 90 to 100 % of every
budget; the families made by hand are each scaled as far as the budgets allow, in several ideas.

    python benchmarks/pays.py --results pays.jsonl --cell "MNIST 2000"
    python benchmarks/pays.py --results pays.jsonl --report --plot pays.png

With ``--peer CHECKOUT`` the rows of `peer_pit` are made as well.

Results: docs/benchmarks/layers.md.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import peer_pit
import torch
from lightning.pytorch import seed_everything
from measuring import check_output
from pays_plot import plot
from pays_report import AGAIN, ALONE, BY_HAND, DRAWN, OF_ALL, Line, choose_families, report
from published_nets import PUBLISHED, Published, PublishedTraining
from quiet import quiet_trainer, silence
from trials import Recipe, read

from darts_lite import ImageData, PlayOff
from darts_lite.derivation.budget import WithinBudget
from darts_lite.launchers.jobs import Job, run_jobs
from darts_lite.launchers.known import make_launcher
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.playoff.proposals import draw_points, pick_by_hand
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.space.protocol import AnyArchitecture, HandMade

IMAGES = Images(1, 10, 28)
SPACE = LayerSpace()
SEARCHES, RANDOM, IDEAS = 10, 40, 4
"""Numbers of searches, of random nets, and of ideas of each family made by hand."""
SEARCHES_OF_ALL, SEARCHES_ALONE, PEERS, AFRESH = 5, 3, 3, 2
"""Numbers of searches on all images, and where parameters alone are limited, of a peer's searches,
and of further trainings of the best idea of each family made by hand."""
TINY = Recipe(lr=0.03, weight_decay=0.005, batch_size=64, label_smoothing=0.0)
HEAD = ", head"
HEADED = {
    "separable, with a head": ("separable, head 2x2", "separable, head 3x3"),
    "full, with a head": ("full, head 2x2", "full, head 3x3", "full, head 4x4"),
}
"""Families as published read the mean over the map; these may also have a head. Full convolutions
with a head are what the tutorial's net is."""
AFRESH_SEED = 10  # above the numbers of ideas, which are their seeds
LARGEST = 10**6  # more than there are nets by hand
RECIPES = {
    "MNIST": replace(TINY, rotation=0.0, scale=0.0),
    "FashionMNIST": replace(TINY, shift=0, rotation=0.0, scale=0.0),
}
"""Nets this small do not overfit: less augmentation and no smoothing, but a higher rate."""
VALIDATED = 6_000


class Cell(NamedTuple):
    """A cell of the table: a data set, three budgets at once, and a number of training images."""

    dataset: str
    parameters: int
    kilobytes: int | None
    images: int | None = 12_000
    epochs: int = 16
    search_steps: int = 1440

    @property
    def name(self) -> str:
        alone = f" {ALONE}" * (self.kilobytes is None)
        return f"{self.dataset} {self.parameters}{alone}" + f", {OF_ALL}" * (not self.images)

    @property
    def rule(self) -> WithinBudget:
        """The budget: parameters, alone or with what a device has beside them.

        These are 100 multiply-adds for each parameter, and bytes of activations.
        """
        rule = WithinBudget(parameters=self.parameters)
        if self.kilobytes is not None:
            most = 100 * self.parameters, 1024 * self.kilobytes
            rule = replace(rule, multiply_adds=most[0], memory=most[1])
        return rule.with_data(IMAGES.channels, IMAGES.classes, IMAGES.side)

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.dataset]

    def data(self) -> ImageData:
        """Returns the images, of which some are held out for validation."""
        total = 60_000 if self.images is None else self.images + VALIDATED
        return ImageData(
            self.dataset,
            validation_fraction=VALIDATED / total,
            train_images=total,
            batch_size=self.recipe.batch_size,
            search_batch_size=self.recipe.batch_size,
            search_batches_per_epoch=self.search_steps,
            augmentation=self.recipe.augmentation(),
            search_augmentation=self.recipe.augmentation(),
        )


SIZES = ((1000, 2), (2000, 4), (5000, 6), (10_000, 8))
CELLS = [Cell(data, *size) for data in ("MNIST", "FashionMNIST") for size in SIZES]
CELLS += [cell._replace(images=None, epochs=24, search_steps=3240) for cell in CELLS]
"""All eight on 12,000 images, and on all of them."""
RIVALS = ("MNIST 2000", "FashionMNIST 5000")
"""Those that have rivals on all images too, which take hours; of the others, searches alone."""
CELLS += [Cell("MNIST", size, None, None, 24, 3240) for size in (700, 2000, 5000, 10_000)]
Made = tuple[Callable[..., Retraining], dict[str, Any]]
"""What makes the training of a net, and what is to be told of it."""
Row = tuple[str, int, Callable[[], Made]]
"""Kind of a net, its number, and what makes it."""


def list_rows(cell: Cell, peer: Path | None = None) -> Iterator[Row]:
    """Yields the rows of a cell, those that tell most first; those of a peer, if it is there."""
    if cell.kilobytes is None:
        yield from list_rows_alone(cell)
        return
    if cell.images is None and not cell.name.startswith(RIVALS):
        for number in range(SEARCHES_OF_ALL):
            yield "found", number, partial(search, cell, number)
        return
    for kind, ideas in make_by_hand(cell).items():
        for number, one in enumerate(ideas):
            yield kind, number, partial(_give, one)
    for number in range(max(SEARCHES, RANDOM)):
        if number < SEARCHES:
            yield "found", number, partial(search, cell, number)
        if number < RANDOM:
            yield "random", number, partial(draw, cell, number)
        if number < PEERS and peer is not None:
            yield "peer", number, partial(search_peer, cell, number, peer)


@cache
def make_by_hand(cell: Cell) -> dict[str, list[AnyArchitecture]]:
    """Returns the ideas of each family, scaled as far as the budgets allow."""
    made: dict[str, list[HandMade]] = {}
    for one in pick_by_hand(SPACE, cell.rule, LARGEST):
        made.setdefault(one.family, []).append(one)
    uniform = {name: ideas[:IDEAS] for name, ideas in made.items() if HEAD not in name}
    for kind, names in HEADED.items():
        headed = (ideas[: IDEAS // 2] for name, ideas in made.items() if name in names)
        uniform[kind] = [*chain.from_iterable(headed)]
    return {
        kind: [SPACE.build(one.choices, {"algorithm": "by hand"}) for one in ideas]
        for kind, ideas in uniform.items()
    }


def list_afresh(cell: Cell, lines: Sequence[Line]) -> Iterator[Row]:
    """Yields further trainings of the idea of each family that has the best validation.

    Its own training was the best of several, so its test accuracy flatters it; a net that was
    found is trained anew as well.
    """
    best = choose_families([line for line in lines if line["cell"] == cell.name])
    for kind, ideas in make_by_hand(cell).items():
        chosen = [
            one for one in ideas if kind in best and one.genotype() == best[kind]["architecture"]
        ]
        for number in range(AFRESH if chosen else 0):
            yield f"{kind}, {AGAIN}", AFRESH_SEED + number, partial(_give, chosen[0])


def list_rows_alone(cell: Cell) -> Iterator[Row]:
    """Yields what stands beside published nets of as many parameters."""
    for number, (name, net) in enumerate(PUBLISHED.items()):
        if 0.9 * cell.parameters <= net.parameters <= cell.parameters:
            about = {"params": net.parameters, "macs": net.multiply_adds, "architecture": name}
            yield "published", number, partial(_publish, net, about)
    for number in range(SEARCHES_ALONE):
        yield "found", number, partial(search, cell, number)


def _publish(net: Published, about: dict[str, Any]) -> Made:
    return partial(PublishedTraining, net.build()), about


def _give(architecture: AnyArchitecture) -> Made:
    steps = architecture.steps(IMAGES)  # type: ignore[attr-defined]
    return partial(Retraining, architecture=architecture), {
        "params": sum(step.parameters for step in steps),
        "macs": sum(step.multiply_adds for step in steps),
        "memory": max(step.values for step in steps),
        "architecture": architecture.genotype(),
    }


def draw(cell: Cell, number: int) -> Made:
    """Draws a random net that uses most of every budget."""
    (point,) = draw_points(SPACE, cell.rule, 1, Random(f"{cell.name}/{number}"))
    return _give(SPACE.architecture(point))


def search(cell: Cell, number: int) -> Made:
    """Searches once, and returns what was found, with the seconds of the processor."""
    seed_everything(number, verbose=False)
    data = cell.data()
    model = PlayOff(SPACE, derivation=cell.rule)
    trainer = quiet_trainer(max_epochs=1, limit_val_batches=0, accelerator="cpu")
    start = time.process_time()
    trainer.fit(model, datamodule=data)
    found = model.derive()
    seconds = round(time.process_time() - start, 1)
    training, about = _give(found)
    return training, {"search_seconds": seconds, **found.found_by} | about


def search_peer(cell: Cell, number: int, checkout: Path) -> Made:
    """Searches once with a peer's checkout."""
    net, about = peer_pit.search(checkout, SPACE, cell.rule, cell.data(), number)
    return partial(PublishedTraining, net), about


def train(cell: Cell, make: Callable[..., Retraining], seed: int) -> dict[str, Any]:
    """Trains a net, validates it and tests it once; its seconds are the processor's."""
    seed_everything(seed, verbose=False)
    data, model = cell.data(), cell.recipe.retraining(make)
    trainer = quiet_trainer(
        max_epochs=cell.epochs,
        check_val_every_n_epoch=cell.epochs,
        accelerator="cpu",
        num_sanity_val_steps=0,
    )
    start = time.process_time()
    trainer.fit(model, datamodule=data)
    seconds = time.process_time() - start
    validated = float(trainer.callback_metrics["retraining/validation_accuracy"])
    trainer.test(model, datamodule=data, verbose=False)
    return {
        "validation_accuracy": validated,
        "test_accuracy": float(trainer.callback_metrics["test/accuracy"]),
        "seconds": round(seconds, 1),
    }


def fill(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    """Makes the rows that are missing."""
    number, parts = map(int, options.part.split("/"))
    rows = [(cell, *row) for cell in cells for row in list_rows(cell, options.peer)]
    if options.kind:
        rows = [row for row in rows if (row[1] if row[1] in DRAWN else BY_HAND) in options.kind]
    if AGAIN in (options.kind or ()):
        lines = read(options.results)
        rows += [(cell, *row) for cell in cells for row in list_afresh(cell, lines)]
    for cell, kind, place, make in rows[number::parts]:
        # What is drawn has a number; what is made by hand is known, and numbers follow the space.
        made = None if kind in DRAWN else make()
        key: dict[str, Any] = {"cell": cell.name, "kind": kind}
        if made is not None:
            key["architecture"] = made[1]["architecture"]
        if made is None or AGAIN in kind:
            key["number"] = place
        if any(key.items() <= line.items() for line in read(options.results)):
            continue
        training, about = made or make()
        line = key | {"number": place} | train(cell, training, place) | about
        line |= {"epochs": cell.epochs, "threads": torch.get_num_threads()}
        line |= {"date": time.strftime("%Y-%m-%d")}
        with options.results.open("a") as file:
            print(json.dumps(line), file=file, flush=True)


def launch(cells: Sequence[str], options: argparse.Namespace) -> None:
    """Makes the rows as jobs, which all append to the file of results."""
    launcher = make_launcher(options.launcher, options.address, None, 1)
    if launcher is None:
        return
    place = options.results.absolute().parent
    kept = ["--results", str(options.results.absolute()), "--threads", str(options.threads)]
    kept += [word for kind in options.kind or () for word in ("--kind", kind)]
    kept += ["--peer", str(options.peer.absolute())] if options.peer is not None else []
    number, parts = map(int, options.part.split("/"))
    jobs = []
    for cell in cells:
        for share in range(options.jobs):
            name = f"{cell}, {share + 1} of {options.jobs}"
            part = f"{number + share * parts}/{options.jobs * parts}"
            own = ["--cell", cell, "--part", part]
            folder = place / "jobs" / name
            jobs.append(Job(name, folder, [__file__, *kept, *own], place, options.threads))
    run_jobs(launcher, jobs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fills the file of results, and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="file of finished rows")
    parser.add_argument("--cell", action="append", help="name of a cell; all if not given")
    parser.add_argument(
        "--kind",
        action="append",
        choices=(BY_HAND, AGAIN, *DRAWN),
        help=f"only such rows; {AGAIN!r}, made only if it is named, trains the best ideas anew",
    )
    parser.add_argument("--part", default="0/1", help="k/n: every n-th row from number k on")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--launcher", help="local or ray: makes the rows as several jobs at once")
    parser.add_argument("--address", help="of the Ray cluster")
    parser.add_argument("--jobs", type=int, default=4, help="number of jobs of each cell")
    parser.add_argument("--peer", type=Path, help="checkout of eml-eda/plinio")
    parser.add_argument("--report", action="store_true", help="only print what there is")
    parser.add_argument("--plot", type=Path, help="picture to write")
    options = parser.parse_args(arguments)
    check_output("--results", options.results)
    if options.plot:
        check_output("--plot", options.plot)
    known: Mapping[str, Cell] = {cell.name: cell for cell in CELLS}
    if unknown := [name for name in options.cell or () if name not in known]:
        parser.error(f"unknown cell {unknown[0]!r}; choose from {', '.join(known)}")
    silence(options.threads)
    if not options.report:
        if options.launcher is not None:
            launch([*(options.cell or known)], options)
        fill([known[name] for name in options.cell or known], options)
    lines = read(options.results)
    print(report(lines))
    if options.plot:
        plot(lines).savefig(options.plot, dpi=100)


if __name__ == "__main__":
    main()
