"""A step captured once as a CUDA graph and replayed: no time goes into launching kernels.

Written after torch's documentation of CUDA graphs; it has not been run on a GPU yet.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

Step = Callable[..., tuple[Any, ...]]
WARM_UPS = 3
"""Runs before a capture, in which libraries choose algorithms and take their memory."""


def graphed(
    steps: tuple[Step, Step], state: Callable[[], Iterable[Tensor]], possible: bool
) -> tuple[Step, Step]:
    """The two steps of a search as graphs, or with a warning as they are.

    Args:
        steps: See `Graphed`.
        state: What both change.
        possible: Whether a search is such that its steps can be captured.
    """
    if possible:
        return Graphed(steps[0], state), Graphed(steps[1], state)
    rank_zero_warn(
        "cuda_graphs needs one GPU, a precision other than 16-mixed, first order, and mixing "
        "weights without draws or a schedule; the steps run without"
    )
    return steps


class Graphed:
    """A step on a GPU as one graph; the first batch decides its shapes.

    Batches of other shapes, and batches on other devices, run as the step is written.

    Args:
        step: Maps the tensors of a batch to tensors. It may not wait for the GPU, and what it reads
            besides must stay where it is in memory.
        state: Tensors that the step changes in place; the runs before the capture leave no trace
            in them.
    """

    def __init__(self, step: Step, state: Callable[[], Iterable[Tensor]]) -> None:
        self.step = step
        self.state = state
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: tuple[Any, ...] = ()

    def __call__(self, *batch: Tensor) -> tuple[Any, ...]:
        """The step's results; the next call overwrites them."""
        if batch[0].device.type != "cuda":
            return self.step(*batch)
        if self._graph is None:
            self._capture(batch)
        assert self._graph is not None
        if any(
            static.shape != given.shape or static.dtype != given.dtype
            for static, given in zip(self._inputs, batch, strict=True)
        ):
            return self.step(*batch)
        for static, given in zip(self._inputs, batch, strict=True):
            static.copy_(given)
        self._graph.replay()
        return self._outputs

    def _capture(self, batch: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(tensor.clone() for tensor in batch)
        before = [(tensor, tensor.clone()) for tensor in self.state()]
        cached = torch.is_autocast_cache_enabled()
        torch.clear_autocast_cache()
        torch.set_autocast_cache_enabled(False)  # a replay must cast the weights anew
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self.step(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = self.step(*self._inputs)
        torch.set_autocast_cache_enabled(cached)
        for tensor, value in before:
            tensor.copy_(value)
