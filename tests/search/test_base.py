"""What both kinds of search share."""

from darts_lite.search.base import algorithm_of
from darts_lite.search.relaxations import Softmax

USUAL = {"partial_channels": 1, "edge_weights": False, "auxiliary_skip": 0.0}


def test_what_is_unusual_in_a_search_is_named() -> None:
    assert algorithm_of(("DARTS", Softmax()), USUAL) == "DARTS, Softmax"
    unusual = {"partial_channels": 4, "edge_weights": True, "auxiliary_skip": 1.0}
    assert algorithm_of(("DARTS",), unusual) == (
        "DARTS, partial_channels 4, edge_weights True, auxiliary_skip"
    )
