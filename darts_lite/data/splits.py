"""Splits images by their labels, the classes in the proportions of the whole."""

import torch
from torch import Tensor


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


def compute_split_sizes(total: int, validation_fraction: float) -> dict[str, int]:
    """Returns each split's share of ``total`` training images; raises ValueError if one is 0."""
    validation = round(validation_fraction * total)
    weights = (total - validation + 1) // 2
    sizes = {"validation": validation, "weights": weights, "alphas": total - validation - weights}
    if min(sizes.values()) < 1:
        raise ValueError(
            f"{total} training images cannot be split into {sizes}; "
            "use more train_images or another validation_fraction"
        )
    return sizes
