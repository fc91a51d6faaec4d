"""Several processes that compute what one would compute from their batches together.

A process is a *rank*; each holds its part of a *joint batch*. The functions do nothing where there
is one process. All ranks must call them, in one order: they wait for each other.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn


class Part(NamedTuple):
    """Which images of a joint batch a rank has: every `ranks`-th from number `rank` on."""

    rank: int = 0
    ranks: int = 1

    def drawn(self, draw: Callable[[int], Tensor], count: int) -> Tensor:
        """Random numbers for the images of this rank, of those that the joint batch gets.

        The generators of all ranks stay alike with that.

        Args:
            draw: Makes random numbers for so many images, ``(images, ...)``.
            count: Images of this rank.
        """
        return draw(count * self.ranks)[self.rank :: self.ranks]


WHOLE = Part()
"""Of a single process."""


def own_part() -> Part:
    """That of this process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return WHOLE
    return Part(distributed.get_rank(), distributed.get_world_size())


def averaged(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Means over all ranks, in one message; differentiable as often as needed.

    The gradient in a rank's tensor is that of the mean of all ranks' results.
    """
    return tensors if own_part().ranks == 1 else _Averaged.apply(*tensors)


def replicated(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors that are alike on all ranks, whose gradients are to be the mean over all ranks.

    So a gradient of any order in one of them is that of the mean loss of the joint batch.
    """
    return tensors if own_part().ranks == 1 else _Replicated.apply(*tensors)


def gathered(value: Any) -> list[Any]:
    """What each rank has, in their order; a plain value, which is sent as a message."""
    values = [value] * own_part().ranks
    if len(values) > 1:
        distributed.all_gather_object(values, value)
    return values


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces what `Tensor.backward` left in parameters by the mean over all ranks."""
    if own_part().ranks == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    for gradient, mean in zip(gradients, averaged(*gradients), strict=True):
        gradient.copy_(mean)


class _Averaged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = flat.div_(own_part().ranks).split([tensor.numel() for tensor in tensors])
        return tuple(
            part.view(tensor.shape).to(tensor.dtype)
            for part, tensor in zip(parts, tensors, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return averaged(*gradients)


class _Replicated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return averaged(*gradients)
