"""Adds what the options of a choice return, each times its mixing weight, in few passes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def add_weighted(values: Sequence[Any], weights: Sequence[Tensor | None]) -> Any:
    """Returns the sum of values times their weights, which are scalars; None is 1."""
    if len(values) == 1 and weights[0] is None:
        return values[0]
    maps = [value for value in values if isinstance(value, Tensor) and value.is_floating_point()]
    given = [weight for weight in weights if weight is not None]
    alike = len({(value.shape, value.dtype) for value in maps}) == 1
    if len(maps) == len(given) == len(values) and alike:
        total: Tensor = _WeightedSum.apply(torch.stack(given).to(maps[0].dtype), *maps)
        return total
    pairs = zip(values, weights, strict=True)
    terms = [value if weight is None else weight * value for value, weight in pairs]
    return sum(terms[1:], start=terms[0])


class _WeightedSum(torch.autograd.Function):
    """The sum of maps times scalars, without the map that each product would take."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(weights, *maps)
        total = maps[0] * weights[0]
        for value, weight in zip(maps[1:], weights[1:], strict=True):
            total.addcmul_(value, weight)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        (gradient,) = gradients  # of the sum
        weights, *maps = ctx.saved_tensors
        of_weights = torch.stack([_multiply(value, gradient) for value in maps])  # (maps,)
        return (of_weights, *(gradient * weight for weight in weights))


def _multiply(first: Tensor, second: Tensor) -> Tensor:
    """Returns the scalar product of two maps of one shape."""
    if first.stride() == second.stride() and first.is_contiguous(memory_format=_find_format(first)):
        size = (first.numel(),)  # as one row, without a map of products
        return torch.dot(first.as_strided(size, (1,)), second.as_strided(size, (1,)))
    return (first * second).sum()


def _find_format(x: Tensor) -> torch.memory_format:
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
