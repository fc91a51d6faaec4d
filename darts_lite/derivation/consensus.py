"""Judges a found architecture by the agreement of several searches, and by random ones."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from random import Random
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from darts_lite.derivation.rules import Rule, Strongest, derive
from darts_lite.space.groups import PATIENCE, Choices, random_point
from darts_lite.space.protocol import AnyArchitecture, Space
from darts_lite.space.walks import WALKS, iterate_within

Agreement = dict[str, list[list[float]]]
"""Group -> sets -> kept rows -> the share of searches that agree, from 0 to 1."""
CHANCE_DRAWS = 200
"""Number of random consensuses whose mean agreement is taken."""
FEW = 40
"""Number of uniform draws within limits below which random walks add others."""
STRONGEST = Strongest()
TIE = 1e-6
"""What a search counts for more than the next one: enough to decide a tie, and nothing else."""


def consensus(
    space: Space,
    shares: Sequence[Mapping[str, Tensor]],
    found: Sequence[AnyArchitecture],
    found_by: Mapping[str, Any],
    derivation: Rule = STRONGEST,
) -> AnyArchitecture:
    """Derives an architecture from the mean of several searches' shares.

    Where a rule cannot derive from shares, it is the one of the `found` that agrees most with all.
    Searches that come first decide where all others leave a tie. Each of the `shares` has
    ``(rows, options)`` for each group.
    """
    if not derivation.derives:
        agreed = max(found, key=lambda one: mean_agreement(agreement(space, one, found)))
        return space.build(agreed.choices, found_by)
    weights = torch.tensor([1 + TIE * (len(shares) - place) for place in range(len(shares))])
    mean = {}
    for kind in shares[0]:
        stacked = torch.stack([each[kind].cpu() for each in shares], -1)  # (rows, options, S)
        mean[kind] = stacked @ (weights / weights.sum()).to(stacked.dtype)
    return derive(space, mean, found_by, derivation)


def agreement(
    space: Space, architecture: AnyArchitecture, others: Sequence[AnyArchitecture]
) -> Agreement:
    """Returns, for each kept row, the share of `others` that keep it with the same option.

    Choices that change nothing are none: they are left out, and agree with no other.
    """
    one, *rest = (space.leave_out_vain(each.choices) for each in (architecture, *others))
    return compare_rows(one, rest)


def compare_rows(choices: Choices, others: Sequence[Choices]) -> Agreement:
    """Returns what `agreement` does, of choices or of the edges of diagrams."""
    return {
        name: [
            [fmean(_has(other, name, place, row) for other in others) for row in rows]
            for place, rows in enumerate(kept)
        ]
        for name, kept in choices.items()
    }


def _has(choices: Choices, name: str, place: int, row: tuple[str, int]) -> bool:
    sets = choices.get(name, ())
    return place < len(sets) and row in sets[place]


def mean_agreement(agreements: Agreement) -> float:
    """Returns the mean over all kept rows of all groups."""
    return fmean(share for nodes in agreements.values() for node in nodes for share in node)


def agreement_by_chance(
    space: Space, searches: int, random: Random, derivation: Rule = STRONGEST
) -> float | None:
    """Returns the mean agreement of random architectures within limits with their consensus.

    This much of the agreement of searches is luck, because a consensus always resembles its parts.
    The limits, which take seconds to keep to where shares are alike, do not bind the consensus: it
    resembles its parts all the more then, so that luck is not said to be less than it is.
    None if no random architecture is met within the limits.
    """
    drawn = islice(_iterate_architectures(space, random), PATIENCE)
    pool = [*islice(filter(partial(derivation.admits, space), drawn), searches * CHANCE_DRAWS)]
    pool += islice(_walk_within(space, derivation, random), max(0, FEW - len(pool)))
    if not pool:
        return None
    agreements = []
    for _ in range(CHANCE_DRAWS):
        found = random.choices(pool, k=searches)
        common = consensus(space, [space.votes(each) for each in found], found, {})
        agreements.append(mean_agreement(agreement(space, common, found)))
    return fmean(agreements)


def draw_architectures(
    space: Space,
    count: int,
    random: Random,
    found: AnyArchitecture | None = None,
    admits: Callable[[AnyArchitecture], bool] | None = None,
) -> list[AnyArchitecture]:
    """Draws different architectures of a space uniformly, but never the `found` one.

    Returns fewer than `count` if the space has no more, or if hardly any is admitted.
    """
    drawn = islice(_iterate_architectures(space, random), PATIENCE)
    return pick_different(drawn, count, () if found is None else (found,), admits)


def draw_fitted(
    space: Space, rule: Rule, count: int, random: Random, known: Collection[AnyArchitecture]
) -> list[AnyArchitecture]:
    """Draws different nets within a rule's limits, as wide as these allow, other than the `known`.

    They are the fairest rivals where no net uses most of all limits. Returns fewer than `count` if
    the walks meet no more.
    """

    def fits(choices: Choices) -> bool:
        return upper.admits(space, space.build(choices))

    upper = rule.upper
    drawn = islice(_walk_within(space, rule, random), WALKS * count)
    fitted = (space.build(space.fit_sizes(each.choices, fits), each.found_by) for each in drawn)
    return pick_different(fitted, count, known, partial(rule.admits, space))


def _walk_within(space: Space, rule: Rule, random: Random) -> Iterator[AnyArchitecture]:
    """Yields random architectures that a rule admits; they need not use much of its limits."""

    def measure(one: AnyArchitecture) -> float:
        return 0.0 if rule.admits(space, one) else rule.excess(space, one)

    return iterate_within(space, measure, random)


def pick_different(
    drawn: Iterable[AnyArchitecture],
    count: int,
    known: Collection[AnyArchitecture],
    admits: Callable[[AnyArchitecture], bool] | None = None,
) -> list[AnyArchitecture]:
    """Returns the first nets that are admitted, each another one: choices may differ in vain."""
    picked: list[AnyArchitecture] = []
    names = {each.genotype() for each in known}
    for each in drawn:
        if len(picked) == count:
            break
        if each.genotype() not in names and (admits is None or admits(each)):
            names.add(each.genotype())
            picked.append(each)
    return picked


def _iterate_architectures(space: Space, random: Random) -> Iterator[AnyArchitecture]:
    while True:
        yield space.architecture(random_point(space.sizes, random), {"algorithm": "random"})


def percentile(value: float, others: Sequence[float]) -> float:
    """Returns the percentage of `others` below `value`; equal ones count half."""
    return 100 * fmean((other < value) + (other == value) / 2 for other in others)


def percentile_interval(percent: float, count: int) -> tuple[float, float]:
    """Returns the 95 % Wilson interval of a percentile that `count` values gave, in per cent.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22 (1927).
    """
    z, share = 1.96, percent / 100  # z: 97.5 % quantile of the normal distribution
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    spread = share * (1 - share) / count + z**2 / (4 * count**2)
    half = z / (1 + z**2 / count) * math.sqrt(spread)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)
