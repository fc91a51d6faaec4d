"""Several processes that compute what one would compute from their batches together.

A process is a *rank*; each holds its shard of a *joint batch*. The functions do nothing where there
is one process. All ranks must call them, in one order: they wait for each other.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn


class Shard(NamedTuple):
    """The images of a joint batch that a rank holds: every `world_size`-th from number `rank`."""

    rank: int = 0
    world_size: int = 1

    def local_random(self, draw: Callable[[int], Tensor], count: int) -> Tensor:
        """Draws random numbers for the whole joint batch and returns those for this rank's images.

        `draw` makes random numbers ``(images, ...)`` for a number of images; this rank has `count`.
        All ranks draw the same, so their generators stay alike.
        """
        return draw(count * self.world_size)[self.rank :: self.world_size]


WHOLE = Shard()
"""The shard of a single process: all images."""


def own_shard() -> Shard:
    """Returns the shard of this process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return WHOLE
    return Shard(distributed.get_rank(), distributed.get_world_size())


def average(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Returns the means over all ranks, sent in one message; differentiable as often as needed.

    The gradient in a rank's tensor is the gradient of the mean of all ranks' results.
    """
    return tensors if own_shard().world_size == 1 else _Averaged.apply(*tensors)


def replicate(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Returns tensors that are equal on all ranks; their gradients become means over all ranks.

    A gradient of any order in one of them is then the gradient of the joint batch's mean loss.
    """
    return tensors if own_shard().world_size == 1 else _Replicated.apply(*tensors)


def gather(value: Any) -> list[Any]:
    """Returns each rank's value in the order of ranks; values are plain data, sent as messages."""
    values = [value] * own_shard().world_size
    if len(values) > 1:
        distributed.all_gather_object(values, value)
    return values


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces the gradients that `Tensor.backward` left in parameters by means over all ranks."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients and own_shard().world_size > 1:
        for gradient, mean in zip(gradients, average(*gradients), strict=True):
            gradient.copy_(mean)


class _Averaged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        pieces = flat.div_(own_shard().world_size).split([tensor.numel() for tensor in tensors])
        return tuple(
            piece.view(tensor.shape).to(tensor.dtype)
            for piece, tensor in zip(pieces, tensors, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return average(*gradients)


class _Replicated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return average(*gradients)
