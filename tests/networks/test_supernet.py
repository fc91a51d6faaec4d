"""The literal supernet."""

import pytest
import torch
from torch import Tensor

from darts_lite.networks.supernet import Supernet
from darts_lite.space.cells.search_space import SearchSpace, darts_space


def mixing(supernet: Supernet) -> dict[str, Tensor]:
    return {kind: alpha.softmax(dim=-1) for kind, alpha in supernet.alphas.items()}


def test_the_published_parameter_count() -> None:
    supernet = Supernet(darts_space(channels=16, cells=8), in_channels=3, num_classes=10)
    assert sum(p.numel() for p in supernet.weights()) == 1_930_618
    assert sum(a.numel() for a in supernet.alphas.values()) == 224


@pytest.mark.parametrize("size", [(28, 28), (29, 31), (5, 7), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_image(size: tuple[int, int], channels: int) -> None:
    supernet = Supernet(darts_space(channels=3, cells=3, nodes=2), channels, 7).eval()
    assert supernet(torch.randn(2, channels, *size), mixing(supernet)).shape == (2, 7)


@pytest.mark.parametrize("nodes", [1, 2, 5])
@pytest.mark.parametrize("reductions", [(), (0,), (0, 1, 2)])
def test_any_shape_of_space(nodes: int, reductions: tuple[int, ...]) -> None:
    space = SearchSpace(
        ("none", "skip_connect", "conv_1x1"), nodes, channels=2, cells=3, reductions=reductions
    )
    supernet = Supernet(space, 1, 10)
    assert set(supernet.alphas) == set(space.skeleton.kinds)
    for alpha in supernet.alphas.values():
        assert alpha.shape == (sum(range(2, 2 + nodes)), 3)
    assert supernet(torch.randn(2, 1, 9, 9), mixing(supernet)).shape == (2, 10)


def test_the_alphas_get_a_gradient_and_none_has_a_share_in_it() -> None:
    supernet = Supernet(darts_space(channels=2, cells=3, nodes=2), 1, 10)
    supernet(torch.randn(4, 1, 14, 14), mixing(supernet)).square().sum().backward()
    for alpha in supernet.alphas.values():
        assert alpha.grad is not None
        assert (alpha.grad != 0).all()
        assert torch.allclose(alpha.grad.sum(dim=-1), torch.zeros(5), atol=1e-4)


def test_alphas_are_parameters_and_in_the_state_dict() -> None:
    supernet = Supernet(darts_space(channels=2, cells=2, nodes=1), 1, 10)
    assert {"alphas.normal", "alphas.reduce"} & set(supernet.state_dict()) == {"alphas.reduce"}
    weights = {id(p) for p in supernet.weights()}
    assert all(id(alpha) not in weights for alpha in supernet.alphas.values())
