"""Mixed cells."""

from typing import Any

import pytest
import torch
from torch import Tensor

from darts_lite.networks.cells.mixed import MixedOperation, concatenate
from darts_lite.networks.supernet import Supernet
from darts_lite.space.cells.search_space import SearchSpace, darts_space


def mixing(supernet: Supernet) -> dict[str, Tensor]:
    return {kind: alpha.softmax(dim=-1) for kind, alpha in supernet.alphas.items()}


def test_a_mixed_operation_is_the_weighted_sum() -> None:
    edge = MixedOperation(("none", "skip_connect", "avg_pool_3x3"), 4, 1)
    x, row = torch.randn(2, 4, 6, 6), torch.tensor([0.5, 0.2, 0.3])
    expected = 0.2 * x + 0.3 * edge.candidates["avg_pool_3x3"](x)
    assert torch.allclose(edge(x, row), expected)


@pytest.mark.parametrize("size", [(28, 28), (7, 9)])
@pytest.mark.parametrize("partial", [2, 4])
def test_partial_channels(size: tuple[int, int], partial: int) -> None:
    space = darts_space(channels=4, cells=3, nodes=2)
    supernet = Supernet(space, 1, 10, partial_channels=partial)
    whole = Supernet(space, 1, 10)
    assert sum(p.numel() for p in supernet.weights()) < sum(p.numel() for p in whole.weights())
    assert supernet(torch.randn(2, 1, *size), mixing(supernet)).shape == (2, 10)


def test_channels_that_are_not_searched_pass_and_are_shuffled() -> None:
    space = SearchSpace(("none", "skip_connect"), nodes=1, channels=4, cells=1, reductions=())
    cell: Any = next(iter(Supernet(space, 1, 10, partial_channels=2).skeleton.cells))
    states = [torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)]
    mixed = cell.nodes[0]([cell.select_searched(s) for s in states], torch.tensor([[0.0, 1]] * 2))
    rows = torch.tensor([[0.0, 1]] * 2)
    node = cell.join(mixed, states, rows)
    assert torch.allclose(node, (states[0] + states[1])[:, [0, 2, 1, 3]])
    node = cell.join(mixed, states, torch.cat([rows, torch.tensor([[0.25], [0.5]])], dim=1))
    passed = (0.25 * states[0] + 0.5 * states[1])[:, 2:]
    assert torch.allclose(node, torch.cat([mixed, passed], dim=1)[:, [0, 2, 1, 3]])


@pytest.mark.parametrize("partial", [0, 3, 32])
def test_partial_channels_must_divide(partial: int) -> None:
    with pytest.raises(ValueError, match="partial_channels must divide the space's 16 channels"):
        Supernet(darts_space(), 1, 10, partial_channels=partial)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_gradients_of_concatenated_maps_have_the_maps_layout(layout: torch.memory_format) -> None:
    maps = [torch.randn(2, 4, 6, 6).contiguous(memory_format=layout).requires_grad_() for _ in "ab"]
    slope = torch.randn(2, 8, 6, 6)
    for gradient, part in zip(
        torch.autograd.grad(concatenate(maps), maps, slope), slope.split(4, dim=1), strict=True
    ):
        assert gradient.is_contiguous(memory_format=layout)
        assert torch.equal(gradient, part)
