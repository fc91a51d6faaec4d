"""Shares become an architecture."""

from random import Random

import pytest
import torch

from darts_lite.derivation.consensus import draw_architectures
from darts_lite.derivation.rules import SkipLimit, Strongest, derive, limits_from
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import SearchSpace, darts_space, nasbench201_space

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
    assert found.choices["normal"] == (
        (("skip_connect", 0), ("conv_3x3", 1)),
        (("skip_connect", 1), ("conv_3x3", 2)),
    )
    assert isinstance(found, Architecture) and found.concat["normal"] == (2, 3)
    assert found.found_by == {"algorithm": "test"}
    assert found.skeleton == SPACE.skeleton


def test_none_is_never_chosen_and_its_share_weakens_its_edge() -> None:
    shares = torch.tensor([[0.98, 0.01, 0.01]] * 3 + [[0.3, 0.4, 0.3]] * 2)
    found = derive(SPACE, {"normal": shares}, {})
    assert [source for _, source in found.choices["normal"][1]] == [1, 2]
    assert all(name != "none" for node in found.choices["normal"] for name, _ in node)


def test_shares_rank_where_raw_alphas_would_not() -> None:
    # The first edge has the largest alpha of all, and the smallest share.
    alphas = torch.tensor([[9.0, 9.1, 9.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    shares = torch.cat([torch.full((2, 3), 1 / 3), alphas.softmax(dim=-1)])
    found = derive(SPACE, {"normal": shares}, {})
    assert found.choices["normal"][1] == (("skip_connect", 1), ("conv_3x3", 2))


def test_one_kept_edge() -> None:
    space = SearchSpace(("skip_connect", "conv_3x3"), nodes=1, kept_edges=1, cells=1)
    found = derive(space, {"reduce": torch.tensor([[0.5, 0.5], [0.9, 0.1]])}, {})
    assert found.choices["reduce"] == ((("skip_connect", 1),),)


def random_shares(space: SearchSpace, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    shape = (sum(space.edges_per_node), len(space.candidates))
    return {kind: torch.randn(shape).softmax(dim=-1) for kind in space.skeleton.kinds}


def test_a_skip_limit_keeps_the_strongest_skips() -> None:
    space = darts_space()
    shares = random_shares(space, 0)
    for rows in shares.values():
        rows[:, space.candidates.index("skip_connect")] += torch.linspace(1, 2, len(rows))
    for limit in (0, 1, 2, 20):
        cells = SkipLimit(limit)(space, shares)
        skips = [e for node in cells["normal"] for e in node if e[0] == "skip_connect"]
        assert len(skips) == min(limit, 8)
        assert cells["reduce"] == Strongest()(space, shares)["reduce"]
        assert all(len(node) == 2 for node in cells["normal"])
    skip = space.candidates.index("skip_connect")
    nodes = [rows[:, skip] for rows in shares["normal"].split(list(space.edges_per_node))]
    strongest = max(range(4), key=lambda node: float(nodes[node].max()))
    kept = ("skip_connect", int(nodes[strongest].argmax()))
    assert kept in SkipLimit(1)(space, shares)["normal"][strongest]
    with pytest.raises(ValueError, match="at least 0"):
        SkipLimit(-1)
    bare = SearchSpace(("none", "skip_connect"), nodes=2, channels=4, cells=3)
    with pytest.raises(ValueError, match="at most 1 skip connections.* raise the limit"):
        SkipLimit(1)(bare, random_shares(bare, 0))


def test_a_skip_limit_tells_which_nets_it_could_derive() -> None:
    space, rule = darts_space(), SkipLimit(1)
    counts = set()
    for each in draw_architectures(space, 40, Random(0)):
        names = [name for edges in each.choices["normal"] for name, _ in edges]
        counts.add(skips := names.count("skip_connect"))
        assert rule.admits(space, each) == (skips <= 1)
        assert rule.excess(space, each) == max(0, skips - 1)
    assert {0, 1, 2} <= counts


def test_what_derives_without_limits_is_none_for_a_search_that_derives_nothing() -> None:
    assert limits_from(SkipLimit(1)) == SkipLimit(1) and limits_from(None) == Strongest()
    with pytest.raises(ValueError, match="method sets no limits; leave it out"):
        limits_from(Strongest().__call__)


def test_every_edge_of_nasbench201_keeps_its_best_candidate_or_none() -> None:
    space = nasbench201_space()
    shares = random_shares(space, 1)["normal"]
    shares[0, 0], shares[3, 2] = 2.0, 2.0
    cell = Strongest()(space, {"normal": shares})["normal"]
    assert [len(node) for node in cell] == [1, 2, 3]
    assert cell[0] == (("none", 0),)
    assert cell[2][0] == ("conv_1x1", 0)
