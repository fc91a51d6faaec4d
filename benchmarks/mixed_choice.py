"""What a mixed choice costs beside its options run alone, forward and backward.

    python benchmarks/mixed_choice.py
    python benchmarks/mixed_choice.py --channels 64 --options 6

The choice and its options take turns, one pass at a time; told are medians of the processor's time.
Results: docs/benchmarks/data.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from quiet import silence
from torch import Tensor, nn

from darts_lite import Choice


def make_block(channels: int, kernel: int, separable: bool) -> nn.Module:
    """Returns a convolution with a norm, or a depthwise separable one."""
    groups = channels if separable else 1
    own = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=groups, bias=False)
    pointwise = [nn.Conv2d(channels, channels, 1, bias=False)] if separable else []
    return nn.Sequential(own, *pointwise, nn.BatchNorm2d(channels), nn.ReLU())


def time_pass(run: Callable[[Tensor], Tensor], x: Tensor, gradient: Tensor) -> float:
    """Returns the processor's milliseconds of a pass forward, and backward from a gradient."""
    start = time.process_time()
    run(x).backward(gradient)
    return 1000 * (time.process_time() - start)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each number of options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--separable", action="store_true", help="depthwise separable options")
    parser.add_argument("--side", type=int, default=14)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--options", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--passes", type=int, default=60)
    options = parser.parse_args(arguments)
    silence(1)
    print(f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, one thread")
    print("| options | choice, ms | sum of its options, ms | ratio |\n| --- | --- | --- | --- |")
    for count in options.options:
        blocks = {
            f"{place}": make_block(options.channels, 3 + 2 * (place % 2), options.separable)
            for place in range(count)
        }
        choice = Choice(blocks)
        weights = torch.full((count,), 1 / count, requires_grad=True)
        x = torch.randn(options.batch, options.channels, options.side, options.side)
        x = x.to(memory_format=torch.channels_last).requires_grad_()
        gradient = torch.randn_like(x)

        def mix(x: Tensor, choice: Choice = choice, weights: Tensor = weights) -> Tensor:
            choice.taken = [*enumerate(weights)]
            mixed: Tensor = choice(x)
            return mixed

        mixed, alone = [], []
        for _ in range(options.passes):
            mixed.append(time_pass(mix, x, gradient))
            alone.append(sum(time_pass(block, x, gradient) for block in blocks.values()))
        whole, parts = statistics.median(mixed), statistics.median(alone)
        print(f"| {count} | {whole:.2f} | {parts:.2f} | {whole / parts:.2f} |", flush=True)


if __name__ == "__main__":
    main()
