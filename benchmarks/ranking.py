"""What ranks nets: short real trainings, or weights that all nets share?

Nets made by hand for one cell of `pays.py`, children of the first ones and random nets are trained
long; printed is Spearman's coefficient of their accuracies on held-out images with their mean loss
in windows of the training, and with their loss under the weights of a supernet that was trained on
random nets of the same budgets, for as many steps as one net. The best are also ranked alone.

    python benchmarks/ranking.py --results ranking.jsonl --cell "FashionMNIST 2000"

Results: docs/benchmarks/layers.md.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import correlation, fmean, stdev
from typing import Any

import torch
from lightning.pytorch import seed_everything
from measuring import check_output
from pays import CELLS, IMAGES, SPACE, Cell
from quiet import silence
from search_step import table
from torch.nn.functional import cross_entropy
from trials import read

from darts_lite import ImageData, Net, Supernet
from darts_lite.data.batches import Batch
from darts_lite.retraining.recipe import SCHEDULES
from darts_lite.search.playoff.proposals import draw_points, pick_by_hand, propose_children
from darts_lite.search.supernet_loss import evaluate
from darts_lite.space.protocol import AnyArchitecture

BY_HAND, CHILDREN, AT_RANDOM = 15, 15, 10
HELD_OUT = 6_000
BEST = 16
"""Number of the best nets that are also ranked alone."""
WINDOWS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)
"""Ends of the windows, as shares of the training; each begins where the one before ends."""


def propose(cell: Cell) -> list[AnyArchitecture]:
    """Returns the nets that are ranked, the same ones each time."""
    random = Random(cell.name)
    made = [SPACE.build(each.choices) for each in pick_by_hand(SPACE, cell.rule, BY_HAND)]
    parents = [(each, "") for each in made[:4]]
    born = propose_children(SPACE, cell.rule, parents, [], random)
    children = [child for _, (child, _) in zip(range(CHILDREN), born, strict=False)]
    drawn = draw_points(SPACE, cell.rule, AT_RANDOM, random)
    nets = [*made, *children, *map(SPACE.architecture, drawn)]
    return [*{each.genotype(): each for each in nets}.values()]


def prepare(cell: Cell) -> ImageData:
    """Returns the images, of which many are held out."""
    count = cell.images or 60_000 - HELD_OUT
    size, augmentation = cell.recipe.batch_size, cell.recipe.augmentation()
    data = ImageData(
        cell.dataset,
        validation_fraction=HELD_OUT / (count + HELD_OUT),
        train_images=count + HELD_OUT,
        batch_size=size,
        augmentation=augmentation,
    )
    data.prepare_data()
    data.setup("fit")
    return data


def repeat(data: ImageData, steps: int) -> Iterator[Batch]:
    """Yields so many training batches, passing the images as often as that takes."""
    while steps > 0:
        for batch in data.train_dataloader():
            if steps > 0:
                yield batch  # type: ignore[misc]
            steps -= 1


def train(
    cell: Cell, architecture: AnyArchitecture, data: ImageData, seed: int, steps: int
) -> dict[str, Any]:
    """Trains a net as `pays.py` does; returns its accuracy, and its mean loss in each window."""
    seed_everything(seed, verbose=False)
    net = Net(architecture, IMAGES.channels, IMAGES.classes)
    optimizer = cell.recipe.optimizer(net.parameters())
    schedule = SCHEDULES[cell.recipe.schedule](optimizer, steps)
    losses = []
    for images, labels in repeat(data, steps):
        loss = cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        batches = data.val_dataloader()
        right = torch.cat([net(images).argmax(1) == labels for images, labels in batches])
    ends = [max(place, round(share * steps)) for place, share in enumerate(WINDOWS, 1)]
    parts = [fmean(losses[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]
    return {"accuracy": float(right.float().mean()), "losses": parts}


def share_weights(
    cell: Cell, nets: Sequence[AnyArchitecture], data: ImageData, steps: int
) -> dict[str, float]:
    """Trains a supernet on random nets of the budgets; returns the loss of each net with it."""
    seed_everything(0, verbose=False)
    supernet = Supernet(SPACE, IMAGES.channels, IMAGES.classes)
    optimizer = cell.recipe.optimizer(supernet.weights())
    rule, random = cell.rule, Random(0)
    drawn = [
        SPACE.architecture(point) for point in draw_points(SPACE, rule, 1 + steps // 16, random)
    ]
    paths = [SPACE.path(each) for each in drawn]
    for images, labels in repeat(data, steps):
        loss = cross_entropy(supernet(images, random.choice(paths)), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(supernet.weights(), 5.0)
        optimizer.step()
    batches = [*data.val_dataloader()]
    return {each.genotype(): evaluate(supernet, SPACE.path(each), batches)[0] for each in nets}


def rank(values: Sequence[float]) -> list[int]:
    """Returns the place of each value in rising order."""
    places = sorted(range(len(values)), key=values.__getitem__)
    return [places.index(each) for each in range(len(values))]


def correlate_ranks(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns Spearman's coefficient."""
    return correlation(rank(first), rank(second))


def compare(accuracies: Sequence[float], losses: Sequence[float]) -> str:
    """Returns Spearman's coefficient of accuracies with losses, and that of the best alone."""
    best = sorted(range(len(accuracies)), key=lambda each: -accuracies[each])[:BEST]

    def ranked(chosen: Sequence[int]) -> float:
        first = [accuracies[each] for each in chosen]
        return correlate_ranks(first, [-losses[each] for each in chosen])

    return f"{ranked(range(len(accuracies))):.2f}, {ranked(best):.2f}"


def report(lines: Sequence[Mapping[str, Any]]) -> str:
    """Returns the table of what ranks the nets that are trained with both seeds."""
    names = dict.fromkeys(line["net"] for line in lines if line["seed"] is not None)
    trained = [[line for line in lines if line["net"] == name] for name in names]
    both = [sorted(pair, key=lambda one: one["seed"])[:2] for pair in trained if len(pair) > 1]
    if len(both) < 3:
        return "there are too few rows yet"
    means = [fmean(line["accuracy"] for line in pair) for pair in both]
    chance = fmean((a["accuracy"] - b["accuracy"]) ** 2 / 2 for a, b in both) ** 0.5
    best = sorted(means)[-BEST:]
    rows = [["a whole training, by another seed", compare(
        [a["accuracy"] for a, _ in both], [-b["accuracy"] for _, b in both]
    )]]  # fmt: skip
    for place, end in enumerate(WINDOWS):
        begin = WINDOWS[place - 1] if place else 0.0
        # Each seed's loss with the other one's accuracy, so that they share no chance.
        found = compare(
            [one["accuracy"] for pair in both for one in pair],
            [one["losses"][place] for pair in both for one in reversed(pair)],
        )
        rows.append([f"loss from {begin:.0%} to {end:.0%} of a training", found])
    for line in lines:
        if line["seed"] is None:
            losses = [line["losses"][pair[0]["net"]] for pair in both]
            rows.append(["shared weights", compare(means, losses)])
    spread = f"{len(both)} nets: deviation {100 * stdev(means):.2f}, of the best {len(best)} "
    spread += f"{100 * stdev(best):.2f}, of a seed {100 * chance:.2f} points"
    return f"{spread}\n{table(['ranked by', f'Spearman: all, the best {BEST}'], rows)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fills the file of results, and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="file of finished rows")
    parser.add_argument("--cell", default="FashionMNIST 2000", help="name of a cell of pays.py")
    parser.add_argument("--part", default="0/1", help="k/n: every n-th row from number k on")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    options = parser.parse_args(arguments)
    check_output("--results", options.results)
    known = {cell.name: cell for cell in CELLS}
    if options.cell not in known:
        parser.error(f"unknown cell {options.cell!r}; choose from {', '.join(known)}")
    silence(options.threads)
    cell, (number, parts) = known[options.cell], map(int, options.part.split("/"))
    nets, data = propose(cell), prepare(cell)
    count = len(data.splits["weights"]) + len(data.splits["alphas"])
    steps = count // cell.recipe.batch_size * cell.epochs
    wanted = [(net, seed) for seed in (0, 1) for net in range(len(nets))] + [(len(nets), None)]
    for net, seed in wanted[number::parts]:
        name = nets[net].genotype() if seed is not None else "shared weights"
        if any((line["net"], line["seed"]) == (name, seed) for line in read(options.results)):
            continue
        if seed is None:
            line = {"losses": share_weights(cell, nets, data, steps)}
        else:
            line = train(cell, nets[net], data, seed, steps)
        with options.results.open("a") as file:
            print(json.dumps({"net": name, "seed": seed} | line), file=file, flush=True)
    print(report(read(options.results)))


if __name__ == "__main__":
    main()
