"""Sums of maps times scalars."""

import pytest
import torch
from torch import Tensor

from darts_lite.space.own.weighted_sums import add_weighted


def plain(weights: Tensor, *maps: Tensor) -> Tensor:
    return sum((w * x for w, x in zip(weights, maps, strict=True)), start=torch.zeros(()))


@pytest.mark.parametrize("formats", [(0, 0), (1, 1), (0, 1)])
def test_values_and_gradients_are_those_of_the_formula(formats: tuple[int, int]) -> None:
    kinds = torch.contiguous_format, torch.channels_last
    maps = [
        torch.randn(2, 3, 4, 5, dtype=torch.float64).to(memory_format=kinds[f]) for f in formats
    ]
    weights = torch.rand(2, dtype=torch.float64)
    inputs = [one.requires_grad_() for one in (weights, *maps)]

    def ours(weights: Tensor, *maps: Tensor) -> Tensor:
        total: Tensor = add_weighted(maps, [*weights])
        return total

    assert torch.allclose(ours(*inputs), plain(*inputs), atol=1e-12)
    assert torch.autograd.gradcheck(ours, inputs)
    assert torch.autograd.gradgradcheck(ours, inputs)


def test_half_precision_keeps_its_type() -> None:
    weights = torch.rand(2, requires_grad=True)
    maps = [torch.randn(2, 3, 4, 4, dtype=torch.bfloat16) for _ in range(2)]
    total = add_weighted(maps, [*weights])
    assert total.dtype == torch.bfloat16
    total.sum().backward()
    assert weights.grad is not None and weights.grad.dtype == torch.float32


def test_one_value_without_a_weight_passes() -> None:
    x = torch.randn(2, 3)
    assert add_weighted([x], [None]) is x
    assert torch.equal(add_weighted([x, 1.0], [None, torch.tensor(2.0)]), x + 2)
