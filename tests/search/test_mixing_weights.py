"""Mixing weights and ranking shares of a supernet."""

import torch

from darts_lite.networks.supernet import Supernet
from darts_lite.search.mixing_weights import Mixture, softmax_per_set
from darts_lite.search.relaxations import Sigmoid, Softmax
from darts_lite.space.cells.search_space import darts_space

SPACE = darts_space(channels=4, cells=3, nodes=2)  # 2 and 3 edges into the nodes


def test_edges_are_weighed_against_those_of_their_node() -> None:
    weights = softmax_per_set(torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0]), SPACE.groups["normal"])
    assert torch.allclose(weights, torch.tensor([1 / 2] * 2 + [1 / 3] * 3))


def test_candidates_are_mixed_and_ranked_by_the_product_with_their_edge() -> None:
    supernet = Supernet(SPACE, 1, 10, edge_weights=True)
    mixture = Mixture(supernet, Softmax())
    supernet.edge_alphas["normal"].data[:] = torch.tensor([2.0, 0.0, 0.0, 0.0, 0.0])
    rows = mixture.sample(0.3)["normal"]
    strong = torch.tensor(2.0).exp() / (torch.tensor(2.0).exp() + 1)
    sums = torch.stack([strong, 1 - strong, *torch.full((3,), 1 / 3)])
    assert torch.allclose(rows.sum(dim=-1), sums, atol=1e-3)
    assert torch.equal(mixture.shares()["normal"], rows.detach())
    assert len(mixture.parameters()) == 4
    worth = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0]).unsqueeze(1)
    slopes = torch.autograd.grad((worth * rows).sum(), supernet.edge_alphas["normal"])
    assert (slopes[0].abs() > 0.01).all()


def test_the_auxiliary_skip_fades_and_is_not_ranked() -> None:
    supernet = Supernet(SPACE, 1, 10, auxiliary_skip=True)
    mixture = Mixture(supernet, Sigmoid(), auxiliary_skip=0.8)
    for rows in (mixture.sample(0.25)["reduce"], mixture.mean(0.25)["reduce"]):
        assert rows.shape == (5, len(SPACE.candidates) + 1)
        assert torch.allclose(rows[:, -1], torch.full((5,), 0.6))
    assert (mixture.sample(1.0)["reduce"][:, -1] == 0).all()
    assert mixture.shares()["reduce"].shape == (5, len(SPACE.candidates))
    assert not mixture.deterministic
    assert Mixture(Supernet(SPACE, 1, 10), Sigmoid()).deterministic


def test_channels_that_pass_have_the_weights_of_the_edges() -> None:
    supernet = Supernet(
        SPACE, 1, 10, partial_channels=2, edge_weights=True, auxiliary_skip=True
    ).eval()
    mixture = Mixture(supernet, Softmax(), auxiliary_skip=0.5)
    supernet.edge_alphas["normal"].data[:2] = torch.tensor([50.0, 0.0])
    rows = mixture.sample(1.0)["normal"]
    assert rows.shape == (5, len(SPACE.candidates) + 2)
    assert torch.allclose(rows[:, -1], torch.tensor([1, 0, 1 / 3, 1 / 3, 1 / 3]), atol=1e-3)
    assert torch.equal(mixture.mean(1.0)["normal"], rows.detach())
    assert mixture.shares()["normal"].shape == (5, len(SPACE.candidates))
