"""Measures the memory of a network's activations from the course of one pass."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Step(NamedTuple):
    """One operation of a pass: which tensors it reads and which it writes, by their memory."""

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    in_place: bool  # it may write where it reads


class _Recorder(TorchDispatchMode):
    """Records the steps of a pass."""

    def __init__(self, constants: Iterable[Tensor]) -> None:
        super().__init__()
        self.constants = {_find_memory(one) for one in constants}
        self.steps: list[Step] = []
        self.sizes: dict[int, int] = {}  # memory -> numbers in it
        self.alive: list[Tensor] = []  # so that no memory is used twice

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        read = [one for one in tree_leaves((args, kwargs or {})) if isinstance(one, Tensor)]
        written = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
        reads = self._note(read)
        writes = tuple(one for one in self._note(written) if one not in reads)
        if writes:
            pointwise = torch.Tag.pointwise in func.tags or "batch_norm" in func.name()
            self.steps.append(Step(reads, writes[:1] if pointwise else writes, pointwise))
        return result

    def _note(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        found: dict[int, None] = {}
        for tensor in tensors:
            memory = _find_memory(tensor)
            if memory not in self.constants and tensor.is_floating_point():
                self.sizes[memory] = max(self.sizes.get(memory, 0), tensor.numel())
                self.alive.append(tensor)
                found[memory] = None
        return tuple(found)


def _find_memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def measure_memory(network: nn.Module, images: Tensor) -> int:
    """Returns the largest number of values that are held at once, in bytes of int8.

    A layer holds what it reads and what it writes, and what later layers still read is held
    beside. Norms and functions of each value alone write where they read, unless what they read is
    needed later. The images count as well.

    Args:
        network: On the device ``meta`` or another one, in evaluation mode.
        images: ``(1, C, H, W)``.
    """
    recorder = _Recorder([*network.parameters(), *network.buffers()])
    with torch.no_grad(), recorder:
        network(images)
    last = {one: place for place, step in enumerate(recorder.steps) for one in step.reads}
    if recorder.steps:
        last |= {one: len(recorder.steps) for one in recorder.steps[-1].writes}
    held, most = {_find_memory(images)}, images.numel()
    for place, step in enumerate(recorder.steps):
        ended = {one for one in held if last.get(one, -1) <= place}
        if step.in_place:
            held -= ended
        held |= {*step.writes}
        most = max(most, sum(recorder.sizes[one] for one in held))
        held = {one for one in held if last.get(one, -1) > place}
    return most
