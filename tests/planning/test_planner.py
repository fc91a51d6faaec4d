"""A plan: what is measured by running a little of it."""

from dataclasses import replace

from run_helpers import SMALL, cost_table

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.planning.planner import draw_likely
from darts_lite.search.architecture_search import ArchitectureSearch


def test_what_stands_for_the_found_net_is_within_the_budget(digits: ImageData) -> None:
    rule = WithinBudget(parameters=3000)
    search = ArchitectureSearch(SMALL, derivation=rule)
    found = draw_likely(search, digits)
    assert cost_table(SMALL, "parameters").of(found) <= 3000
    alone = ArchitectureSearch(replace(SMALL, candidates=("dw_conv_3x3",), nodes=1))
    assert draw_likely(alone, digits).choices == alone.derive().choices
