"""Captures a step once as a CUDA graph and replays it: no time goes into launching kernels.

Written after torch's documentation of CUDA graphs; it has not been run on a GPU yet.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from darts_lite.distributed.ranks import own_shard

Step = Callable[..., tuple[Any, ...]]


def capture_graphs(
    steps: tuple[Step, Step], state: Callable[[], Iterable[Tensor]], possible: bool
) -> tuple[Step, Step]:
    """Returns the two steps of a search as graphs; if that is not possible, warns and changes none.

    `state` returns the tensors that both steps change in place.
    """
    shard = own_shard()
    if possible and shard.world_size == 1:
        return Graphed(steps[0], state), Graphed(steps[1], state)
    if shard.rank == 0:
        warnings.warn(
            "cuda_graphs needs one GPU, a precision other than 16-mixed, first order, and mixing "
            "weights without draws or a schedule; the search goes on without CUDA graphs",
            stacklevel=2,
        )
    return steps


class Graphed:
    """A step on a GPU as one graph; the first batch decides its shapes.

    Batches of other shapes, and batches on other devices, run the step without the graph.

    Args:
        step: Maps the tensors of a batch to tensors. It may not wait for the GPU, and all other
            tensors that it reads must stay where they are in memory.
        state: Returns the tensors that the step changes in place; the runs before the capture leave
            no trace in them.
    """

    def __init__(self, step: Step, state: Callable[[], Iterable[Tensor]]) -> None:
        self.step = step
        self.state = state
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: tuple[Any, ...] = ()

    def __call__(self, *batch: Tensor) -> tuple[Any, ...]:
        """Returns the step's results; the next call overwrites them."""
        if batch[0].device.type != "cuda":
            return self.step(*batch)
        graph = self._graph or self._capture(batch)
        if any(
            static.shape != given.shape or static.dtype != given.dtype
            for static, given in zip(self._inputs, batch, strict=True)
        ):
            return self.step(*batch)
        # A replay reads and writes fixed memory: the batch goes into the inputs of the capture.
        for static, given in zip(self._inputs, batch, strict=True):
            static.copy_(given)
        graph.replay()
        return self._outputs

    def _capture(self, batch: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
        # Inputs at fixed addresses, such as images (B, C, H, W) and labels (B,).
        self._inputs = tuple(tensor.clone() for tensor in batch)
        before = [(tensor, tensor.clone()) for tensor in self.state()]
        cached = torch.is_autocast_cache_enabled()
        torch.clear_autocast_cache()
        torch.set_autocast_cache_enabled(False)  # a replay must cast the weights anew
        # Warm up, so that libraries choose algorithms, on another stream, as torch asks for.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        # Record the kernels of one step, with the memory of its results.
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = self.step(*self._inputs)
        torch.set_autocast_cache_enabled(cached)
        # Undo what the warm-up changed in place, such as running statistics of norms.
        for tensor, value in before:
            tensor.copy_(value)
        return self._graph
