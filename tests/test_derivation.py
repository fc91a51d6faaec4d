"""Shares become an architecture."""

import torch

from darts_lite.derivation import derive
from darts_lite.search_space import SearchSpace

SPACE = SearchSpace(
    ("none", "skip_connect", "conv_3x3"), nodes=2, channels=4, cells=3, reductions=(), name="t"
)


def test_edges_and_candidates_are_ranked_by_share() -> None:
    shares = torch.tensor(
        [
            [0.1, 0.5, 0.4],  # node 2 <- 0: skip
            [0.1, 0.2, 0.7],  # node 2 <- 1: conv
            [0.2, 0.5, 0.3],  # node 3 <- 0: weakest of the three
            [0.1, 0.6, 0.3],  # node 3 <- 1
            [0.0, 0.1, 0.9],  # node 3 <- 2
        ]
    )
    found = derive(SPACE, {"normal": shares}, {"algorithm": "test"})
    assert found.cells["normal"] == (
        (("skip_connect", 0), ("conv_3x3", 1)),
        (("skip_connect", 1), ("conv_3x3", 2)),
    )
    assert found.concat["normal"] == (2, 3)
    assert found.found_by == {"algorithm": "test"}
    assert found.skeleton == SPACE.skeleton


def test_none_is_never_chosen_and_its_share_weakens_its_edge() -> None:
    shares = torch.tensor([[0.98, 0.01, 0.01]] * 3 + [[0.3, 0.4, 0.3]] * 2)
    found = derive(SPACE, {"normal": shares}, {})
    assert [source for _, source in found.cells["normal"][1]] == [1, 2]
    assert all(name != "none" for node in found.cells["normal"] for name, _ in node)


def test_shares_rank_where_raw_alphas_would_not() -> None:
    # The first edge has the largest alpha of all, and the smallest share.
    alphas = torch.tensor([[9.0, 9.1, 9.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    shares = torch.cat([torch.full((2, 3), 1 / 3), alphas.softmax(dim=-1)])
    found = derive(SPACE, {"normal": shares}, {})
    assert found.cells["normal"][1] == (("skip_connect", 1), ("conv_3x3", 2))


def test_one_kept_edge() -> None:
    space = SearchSpace(("skip_connect", "conv_3x3"), nodes=1, kept_edges=1, cells=1)
    found = derive(space, {"reduce": torch.tensor([[0.5, 0.5], [0.9, 0.1]])}, {})
    assert found.cells["reduce"] == ((("skip_connect", 1),),)
