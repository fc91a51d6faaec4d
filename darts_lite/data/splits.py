"""Splits items by their labels, the classes in the proportions of the whole; groups stay whole."""

from collections.abc import Sequence

import torch
from torch import Tensor

TEST_SHARE = 6  # number of items per test item where nothing names the test


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """Returns a random order of ``labels`` (N,) in which every slice is stratified.

    Any run of consecutive entries holds the classes in the proportions of the whole, to within an
    image or two.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    # The members of each class are spread evenly over 0..1, then all are read from left to right.
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = order[labels[order] == label]
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return order[place[order].argsort(stable=True)]


def hold_out(labels: Tensor, count: int) -> Tensor:
    """Returns which of ``labels`` (N,) are held out, as flags (N,).

    These are the first ``count``, without the first one of each class that has no other behind
    them: no class is held out as a whole.
    """
    held = torch.arange(len(labels)) < count
    for label in set(labels[held].tolist()) - set(labels[~held].tolist()):
        held[(labels == label).nonzero()[0]] = False
    return held


def split_groups(
    labels: Tensor, groups: Tensor, shares: Sequence[float], seed: int
) -> list[Tensor]:
    """Splits items into parts that share no group; returns the indices of each, in random order.

    Each group, the largest first, goes to the part whose numbers of each class are then nearest to
    its share of all items, in the sum of squares.

    Args:
        labels: Class of each item ``(N,)``.
        groups: Group of each item ``(N,)``.
        shares: Relative size of each part.
        seed: Seed of the orders; equal groups are taken in a random one.

    Raises:
        ValueError: if there are fewer groups than parts.
    """
    generator = torch.Generator().manual_seed(seed)
    known = groups.unique()
    if len(known) < len(shares):
        raise ValueError(
            f"{len(known)} groups cannot be split into {len(shares)} parts that share none; a run "
            "needs four, one for the test if nothing names that, one for validation and two to "
            "train with; add groups, or tell none"
        )
    known = known[torch.randperm(len(known), generator=generator)]
    classes = int(labels.max()) + 1
    counts = torch.stack([labels[groups == group].bincount(minlength=classes) for group in known])
    counts = counts.double()  # (groups, classes)
    sizes = torch.tensor(shares, dtype=torch.float64)
    wanted = torch.outer(sizes / sizes.sum(), counts.sum(dim=0))  # (parts, classes)
    held = torch.zeros_like(wanted)
    part_of = torch.full((int(known.max()) + 1,), -1)  # by the group's number
    in_turn = counts.sum(dim=1).argsort(descending=True, stable=True).tolist()
    for left, place in zip(range(len(in_turn), 0, -1), in_turn, strict=True):
        before, after = (held - wanted).square(), (held + counts[place] - wanted).square()
        growth = (after - before).sum(dim=1) / wanted.sum(dim=1)  # (parts,)
        empty = held.sum(dim=1) == 0
        if left == int(empty.sum()):  # each group that is left is needed by a part without any
            growth[~empty] = torch.inf
        part = int(growth.argmin())
        held[part] += counts[place]
        part_of[known[place]] = part
    order = torch.randperm(len(labels), generator=generator)
    return [order[part_of[groups[order]] == part] for part in range(len(shares))]


def split_test(labels: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    """Splits items into training and one test item in `TEST_SHARE`; returns the indices of each.

    They are stratified, share no group, and are the same each time.
    """
    if groups is not None:
        train, test = split_groups(labels, groups, [TEST_SHARE - 1, 1], seed=0)
        return train, test
    order = stratified_order(labels, seed=0)
    held = hold_out(labels[order], max(1, len(labels) // TEST_SHARE))
    return order[~held], order[held]


def compute_split_sizes(total: int, validation_fraction: float) -> dict[str, int]:
    """Returns each split's share of ``total`` training items; raises ValueError if one is 0."""
    validation = round(validation_fraction * total)
    weights = (total - validation + 1) // 2
    sizes = {"validation": validation, "weights": weights, "alphas": total - validation - weights}
    if min(sizes.values()) < 1:
        raise ValueError(
            f"{total} training items cannot be split into {sizes}; "
            "use more train_images or another validation_fraction"
        )
    return sizes
