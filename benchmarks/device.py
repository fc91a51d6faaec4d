"""Compares what chains are said to need on a device with what the micro interpreter needs.

    python benchmarks/device.py --nets 30

Random chains of the main job's space, some for colour images of 32 pixels and some for signals,
with random weights and norms, are written as int8 LiteRT files and opened in ever smaller arenas.
It needs the extra device.
Results: docs/benchmarks/devices.md.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

import torch
from quiet import silence
from torch import nn

from darts_lite import Answer, LayerSpace, Net, WithinBudget
from darts_lite.export.litert_int8 import write_litert_int8
from darts_lite.export.micro import Needs, measure_needs
from darts_lite.space.cost_tables import Images
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.space.walks import draw_within

SIZES = (500, 1000, 2000, 4000, 8000)
"""Largest numbers of parameters of the nets, in turn."""


def draw(number: int, random: Random) -> tuple[AnyArchitecture, Images]:
    """Returns a random chain and what it is for: every fifth colour images, or else signals."""
    images = {3: Images(6, 5, 101), 4: Images(3, 10, 32)}.get(number % 5, Images(1, 10, 28))
    space = LayerSpace(axes=1 if number % 5 == 3 else 2)
    rule = WithinBudget(parameters=random.choice(SIZES))
    rule = rule.with_data(images.channels, images.classes, images.side)
    chain = draw_within(space, partial(rule.excess, space), random)
    if chain is None:
        raise ValueError("no chain was drawn")
    return chain, images


def measure(chain: AnyArchitecture, images: Images) -> Needs:
    """Returns what a chain's file really needs."""
    net = Net(chain, images.channels, images.classes).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):  # else biases would be 0, and stand there once
            for numbers in (module.weight, module.running_var):
                nn.init.uniform_(numbers, 0.5, 1.5)  # type: ignore[arg-type]
            for numbers in (module.bias, module.running_mean):
                nn.init.uniform_(numbers, -0.5, 0.5)  # type: ignore[arg-type]
    sees = [0.3] * images.channels
    pixels = torch.rand(16, *images.shape(chain.axes))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        write_litert_int8(Answer(net, sees, sees).eval(), pixels, path)
        return measure_needs(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each net, and the range of the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nets", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    silence(1)
    warnings.simplefilter("ignore")  # of the converter
    torch.manual_seed(options.seed)
    random, ratios = Random(options.seed), []
    print(f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}")
    print("| net | arena: said | needed | file: said | needed |\n| --- | --- | --- | --- | --- |")
    for number in range(options.nets):
        chain, images = draw(number, random)
        try:
            said, needed = chain.count_bytes(images), measure(chain, images)
        except ValueError as error:  # weights with which a map is always 0 have no scale
            print(f"left out, {chain.genotype()}: {error}")
            continue
        cells = said["arena"], needed.arena, said["file"], needed.file
        print(f"| {chain.genotype()} | {' | '.join(f'{cell:,}' for cell in cells)} |", flush=True)
        ratios.append((said["arena"] / needed.arena, said["file"] / needed.file))
    for name, column in zip(("arena", "file"), zip(*ratios, strict=True), strict=True):
        print(f"{name}: said / needed is {min(column):.3f} to {max(column):.3f}")


if __name__ == "__main__":
    main()
