"""Chains within narrow bounds, drawn by a walk."""

import math
from collections import Counter
from random import Random
from typing import Any

from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain_costs import ChainCosts
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.space.walks import draw_within

IMAGES = Images(1, 10, 28)


def test_narrow_bounds_are_kept() -> None:
    space = LayerSpace()
    costs = ChainCosts(space, "parameters", IMAGES)

    def excess(chain: Any) -> float:
        share = costs.of(chain) / 1000
        return max(0.0, math.log(share), math.log(0.9 / share))

    for number in range(5):
        found = draw_within(space, excess, Random(number))
        assert found is not None and 900 <= costs.of(found) <= 1000
    assert draw_within(space, lambda chain: 1.0, Random(0)) is None


def test_all_chains_within_are_drawn_alike() -> None:
    space = LayerSpace(
        stem_kernels=(3, 5), stem_widths=(4, 6, 8), stages=(1,), kernels=(3,), widths=(4, 8),
        expansions=(0,), placements=("stem",), links=("off",), heads=(1,),
    )  # fmt: skip
    drawn = Counter(
        str(
            draw_within(
                space, lambda chain: float("3x3-8" in str(chain).rpartition(" ")[2]), Random(number)
            )
        )
        for number in range(600)
    )
    # Two kernels and three widths of the stem, of the blocks only the narrow one: six chains.
    assert len(drawn) == 6 and max(drawn.values()) < 600 / 6 + 5 * (600 / 6) ** 0.5
