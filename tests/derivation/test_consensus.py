"""What searches agree on, and ranks among random architectures."""

from dataclasses import replace
from functools import partial
from random import Random

import pytest
import torch

from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.consensus import (
    agreement_by_chance,
    compare_rows,
    consensus,
    draw_architectures,
    draw_fitted,
    mean_agreement,
    percentile,
    percentile_interval,
)
from darts_lite.derivation.rules import SkipLimit
from darts_lite.networks.net import Net
from darts_lite.space.cells.search_space import SearchSpace, mnist_space
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.space.protocol import AnyArchitecture

SPACE = SearchSpace(
    ("none", "skip_connect", "conv_1x1"), nodes=2, channels=4, cells=2, reductions=()
)
ENCODING = SPACE
SKIPS = ENCODING.architecture((0, 0, 0, 0, 0, 0))
MIXED = ENCODING.architecture((0, 0, 1, 0, 0, 1))
CONVOLUTIONS = ENCODING.architecture((0, 1, 1, 0, 1, 1))


def test_the_majority_decides_every_edge() -> None:
    found = [SKIPS, MIXED, CONVOLUTIONS]
    common = consensus(SPACE, [SPACE.path(each) for each in found], found, {"seeds": [4, 5, 6]})
    assert common.choices == MIXED.choices
    assert common.found_by == {"seeds": [4, 5, 6]}
    third = pytest.approx(1 / 3)
    assert compare_rows(common.choices, [each.choices for each in found]) == {
        "normal": [[2 * third.expected, 2 * third.expected]] * 2
    }


def test_a_sure_search_outweighs_two_that_hardly_differ() -> None:
    names = list(SPACE.candidates)
    skip, convolution = names.index("skip_connect"), names.index("conv_1x1")
    unsure, sure = torch.full((5, 3), 0.33), torch.full((5, 3), 0.05)
    unsure[:, skip] += 0.01
    sure[:, convolution] = 0.9
    common = consensus(SPACE, [{"normal": unsure}, {"normal": unsure}, {"normal": sure}], [], {})
    assert common.choices == CONVOLUTIONS.choices


def test_the_first_search_decides_ties() -> None:
    space = LayerSpace(stages=(2, 1), widths=(4, 6, 8), placements=("stem 1", "stem 2"))
    one, other = draw_architectures(space, 2, Random(0))
    for found in ([one, other], [other, one]):
        common = consensus(space, [space.votes(each) for each in found], found, {})
        assert common.genotype() == found[0].genotype()


def test_the_consensus_keeps_to_the_rule_of_the_search() -> None:
    votes = [SPACE.path(SKIPS)] * 2 + [SPACE.path(CONVOLUTIONS)]
    cell = consensus(SPACE, votes, [], {}, SkipLimit(1)).choices["normal"]
    assert [name for node in cell for name, _ in node].count("skip_connect") == 1


def test_an_edge_from_elsewhere_is_no_agreement() -> None:
    moved = ENCODING.architecture((0, 0, 0, 1, 0, 0))  # the second node reads states 0 and 2
    assert compare_rows(SKIPS.choices, [moved.choices]) == {"normal": [[1, 1], [1, 0]]}
    assert mean_agreement(
        compare_rows(SKIPS.choices, [moved.choices, SKIPS.choices])
    ) == pytest.approx(7 / 8)


def test_agreement_by_chance() -> None:
    alone = agreement_by_chance(SPACE, 1, Random(0))
    assert alone == 1  # a search agrees with itself
    # Two candidates: of three draws the majority has 3 of 3 in a quarter of the cases, else 2 of 3.
    # The second node reads two of three states, which can only make it less.
    few = agreement_by_chance(SPACE, 3, Random(0))
    more = agreement_by_chance(mnist_space(), 3, Random(0))
    assert few is not None and 0.6 < few < 0.75
    assert more is not None and more < few


def test_a_tight_budget_makes_luck_agree() -> None:
    def by_chance(limit: int) -> float | None:
        rule = WithinBudget(limit, in_channels=1, num_classes=10)
        return agreement_by_chance(mnist_space(), 3, Random(0), rule)

    loose, tight = by_chance(10**6), by_chance(9_000)
    assert loose is not None and loose == agreement_by_chance(mnist_space(), 3, Random(0))
    assert tight is not None and tight > loose + 0.05
    assert by_chance(1) is None


def test_limits_that_no_uniform_draw_keeps_have_luck_and_fitted_rivals() -> None:
    space = LayerSpace()
    rule = WithinBudget(parameters=600, memory="8kB").with_data(1, 10, 28)
    assert not draw_architectures(space, 1, Random(0), None, partial(rule.admits, space))
    assert 0.3 < (agreement_by_chance(space, 2, Random(0), rule) or 0) < 1
    known = space.first_architecture()
    fitted = draw_fitted(space, rule, 5, Random(0), [known])
    assert len({each.genotype() for each in (known, *fitted)}) == 6
    assert all(rule.admits(space, each) for each in fitted)


def test_limits_that_are_no_sums_choose_among_what_was_found() -> None:
    space = LayerSpace()
    rule = WithinBudget(arena="4 KiB", file="4 KiB").with_data(1, 10, 28)
    found = draw_fitted(space, rule, 2, Random(0), [])
    found = [found[0], found[1], found[1]]
    shares = [space.path(each) for each in found]
    common = consensus(space, shares, found, {"seeds": [0, 1, 2]}, rule)
    assert common.genotype() == found[1].genotype() and common.found_by == {"seeds": [0, 1, 2]}
    assert not rule.derives and replace(rule, arena=None, file=None).derives


def test_random_architectures_are_others_and_differ() -> None:
    drawn = draw_architectures(SPACE, 20, Random(0), MIXED)
    cells = [each.choices for each in drawn]
    assert len(set(map(str, cells))) == 20 and MIXED.choices not in cells
    again = draw_architectures(SPACE, 20, Random(0), MIXED)
    assert cells == [each.choices for each in again]
    assert all(each.frame == MIXED.frame for each in drawn)


def test_random_architectures_keep_to_a_budget() -> None:
    space = mnist_space()
    found = space.architecture((0,) * len(space.sizes))
    budget = partial(WithinBudget, in_channels=1, num_classes=10)
    freely = draw_architectures(space, 20, Random(0), found)
    limit = 12_000
    rule = budget(limit)
    bound = draw_architectures(space, 20, Random(0), found, partial(rule.admits, space))

    def parameters(architecture: AnyArchitecture) -> int:
        return sum(p.numel() for p in Net(architecture, 1, 10).parameters())

    assert max(map(parameters, freely)) > limit >= max(map(parameters, bound))
    small = [each for each in freely if parameters(each) <= limit]
    assert small == bound[: len(small)]
    assert not draw_architectures(space, 20, Random(0), found, partial(budget(1).admits, space))


def test_a_small_space_gives_what_it_has() -> None:
    tiny = SearchSpace(("skip_connect", "conv_1x1"), nodes=1, channels=4, cells=1, reductions=())
    found = tiny.architecture((0, 0, 0))
    assert len(draw_architectures(tiny, 50, Random(0), found)) == 3
    assert len(draw_architectures(tiny, 50, Random(0))) == 4


def test_percentiles_count_ties_by_half() -> None:
    assert percentile(0.9, [0.8, 0.9, 0.95, 0.7]) == 62.5
    assert percentile(1.0, [0.8, 0.9]) == 100
    assert percentile(0.0, [0.8, 0.9]) == 0


def test_intervals_of_percentiles() -> None:
    # The Wilson score interval of 3 in 10, and of 5 in 5.
    assert percentile_interval(30, 10) == pytest.approx((10.8, 60.3), abs=0.05)
    assert percentile_interval(100, 5) == pytest.approx((56.6, 100), abs=0.05)
    assert percentile_interval(0, 5) == pytest.approx((0, 43.4), abs=0.05)


def test_choices_that_change_no_net_make_no_other_rival() -> None:
    one_block = LayerSpace((3,), (4,), (2,), (3, 5), (4, 8), (0,), ("stem",), ("off",), (1,))
    found = one_block.first_architecture()
    drawn = draw_architectures(one_block, 20, Random(0), found)  # what a left out block has is vain
    names = [each.genotype() for each in (found, *drawn)]
    assert len(names) == len({*names}) == 4
