"""Whether a found architecture is any good: what searches agree on, and how random ones do."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from random import Random
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.rules import Derivation, derive
from darts_lite.space.architecture import Architecture
from darts_lite.space.encoding import PATIENCE, Encoding, one_path, random_point
from darts_lite.space.search_space import SearchSpace

Agreement = dict[str, list[list[float]]]
"""Of each kept edge: kind of cell -> nodes -> edges."""
CHANCE_DRAWS = 200


def consensus(
    space: SearchSpace,
    shares: Sequence[Mapping[str, Tensor]],
    found_by: Mapping[str, Any],
    derivation: Derivation | None = None,
) -> Architecture:
    """The architecture that the mean shares of several searches stand for.

    Args:
        space: The space that was searched.
        shares: Of each search, kind of cell -> ``(edges, candidates)``.
        found_by: Recorded in the architecture.
        derivation: The rule; `darts_lite.Strongest` when not given.
    """
    mean = {kind: torch.stack([each[kind].cpu() for each in shares]).mean(0) for kind in shares[0]}
    return derive(space, mean, found_by, derivation)


def agreement(architecture: Architecture, others: Sequence[Architecture]) -> Agreement:
    """Of each edge, the share of the others that have it too, with the same operation."""
    return {
        kind: [
            [fmean(edge in other.cells[kind][node] for other in others) for edge in edges]
            for node, edges in enumerate(cell)
        ]
        for kind, cell in architecture.cells.items()
    }


def mean_agreement(agreements: Agreement) -> float:
    """Over all edges of all kinds of cells."""
    return fmean(share for nodes in agreements.values() for node in nodes for share in node)


def agreement_by_chance(
    space: SearchSpace,
    searches: int,
    random: Random,
    derivation: Derivation | None = None,
) -> float:
    """Mean agreement of so many random architectures with their consensus.

    A consensus shares something with what it is made of even where that is luck; so much.

    Args:
        space: Whose architectures.
        searches: How many there are in each draw.
        random: Draws them.
        derivation: The rule of the searches and the consensus; `darts_lite.Strongest` when not
            given.

    Raises:
        ValueError: if hardly any architecture is within the limits of the rule.
    """
    drawn = islice(_random_architectures(Encoding(space), random), PATIENCE)
    pool = [*islice(filter(admitted(space, derivation), drawn), searches * CHANCE_DRAWS)]
    if not pool:
        raise ValueError("hardly any architecture is within the limits of the derivation")
    agreements = []
    for _ in range(CHANCE_DRAWS):
        found = random.choices(pool, k=searches)
        common = consensus(space, [one_path(space, each) for each in found], {}, derivation)
        agreements.append(mean_agreement(agreement(common, found)))
    return fmean(agreements)


def admitted(
    space: SearchSpace, derivation: Derivation | None
) -> Callable[[Architecture], bool] | None:
    """Whether an architecture of a space could come out by a rule; None where any could."""
    return partial(derivation.admits, space) if isinstance(derivation, WithinBudget) else None


def random_architectures(
    space: SearchSpace,
    count: int,
    random: Random,
    found: Architecture | None = None,
    admits: Callable[[Architecture], bool] | None = None,
) -> list[Architecture]:
    """Architectures of a space, drawn uniformly, all different and none of them the found one.

    They are fewer than `count` where the space has no more, or hardly any that is admitted.

    Args:
        space: Whose architectures.
        count: How many.
        random: Draws them.
        found: The one to leave out.
        admits: Whether an architecture may be among them; all may when not given.
    """
    drawn: list[Architecture] = []
    known = [] if found is None else [found.cells]
    candidates = _random_architectures(Encoding(space), random)
    for _, architecture in zip(range(PATIENCE), candidates, strict=False):
        if len(drawn) == count:
            break
        if architecture.cells not in known and (admits is None or admits(architecture)):
            known.append(architecture.cells)
            drawn.append(architecture)
    return drawn


def _random_architectures(encoding: Encoding, random: Random) -> Iterator[Architecture]:
    while True:
        yield encoding.architecture(random_point(encoding.sizes, random), {"algorithm": "random"})


def percentile(value: float, others: Sequence[float]) -> float:
    """How many per cent of the others are less; those that are equal count half."""
    return 100 * fmean((other < value) + (other == value) / 2 for other in others)


def percentile_interval(percent: float, count: int) -> tuple[float, float]:
    """95 % interval of a percentile that `count` others gave, in per cent.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22 (1927).
    """
    z, share = 1.96, percent / 100
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    spread = share * (1 - share) / count + z**2 / (4 * count**2)
    half = z / (1 + z**2 / count) * math.sqrt(spread)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)
