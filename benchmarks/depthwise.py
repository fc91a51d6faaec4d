"""Milliseconds of a depthwise convolution and its gradients: torch's own calls, and this package's.

Each figure is the median of some calls, torch's and ours in turn. The table in the docstring of
``darts_lite/space/depthwise.py`` comes from here.

    python benchmarks/depthwise.py
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from search_step import cpu_name, table
from systems import refuse
from torch import Tensor

from darts_lite.space.depthwise import depthwise, depthwise_gradients

SHAPES = ((32, 64, 28, 28), (32, 256, 7, 7))  # B, C, H, W
KERNELS = ((3, 1), (5, 1), (3, 2), (5, 2))  # size, dilation
Call = Callable[[], object]


def in_turn(calls: Sequence[Call], runs: int) -> list[float]:
    """Median milliseconds of each call, after one that does not count."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(runs + 1):
        for call, times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - start))
    return [statistics.median(times[1:]) for times in taken]


def torch_gradient(x: Tensor, weight: Tensor, slope: Tensor, dilation: int, of: int) -> Call:
    """Torch's gradient in the input (0) or in the weight (1)."""
    padding = [dilation * (weight.shape[-1] // 2)] * 2
    needed = [of == 0, of == 1, False]
    step, channels = [dilation, dilation], len(weight)
    return lambda: torch.ops.aten.convolution_backward(
        slope, x, weight, None, [1, 1], padding, step, False, [0, 0], channels, needed
    )


def our_gradient(x: Tensor, weight: Tensor, slope: Tensor, dilation: int, of: int) -> Call:
    """The package's gradient in the input (0) or in the weight (1)."""
    needed = [of == 0, of == 1]
    return lambda: depthwise_gradients(x, weight, slope, 1, dilation, needed)


def row(shape: tuple[int, ...], size: int, dilation: int, runs: int) -> tuple[str, ...]:
    """Forward, and torch's and our gradients."""
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    slope = torch.randn_like(x)
    weight = torch.randn(shape[1], 1, size, size)
    (forward,) = in_turn([lambda: depthwise(x, weight, 1, dilation)], runs)
    pairs = [
        in_turn(
            [make(x, weight, slope, dilation, of) for make in (torch_gradient, our_gradient)], runs
        )
        for of in (0, 1)
    ]
    figures = [f"{theirs:.2f}, {ours:.2f}" for theirs, ours in pairs]
    return (f"{size}x{size}", str(dilation), str(shape), f"{forward:.2f}", *figures)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args(arguments)
    if options.runs < 1:
        refuse(f"--runs must be at least 1, got {options.runs}")
    print(f"{cpu_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}; ms\n")
    header = ("kernel", "dilation", "map", "forward", "input: torch, ours", "weight: torch, ours")
    with torch.no_grad():
        rows = [row(shape, *kernel, options.runs) for shape in SHAPES for kernel in KERNELS]
    print(table(header, rows))


if __name__ == "__main__":
    main()
