"""Bytes and milliseconds of exported files: a chain, and cells with and without shifts.

    python benchmarks/exports.py --to onnx litert pt2 safetensors python

The nets are those that the main job and the search of cells have found, with random weights, and
the images the digits of this package. Results: docs/benchmarks/devices.md.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from quiet import silence
from search_step import cpu_name, table

from darts_lite.data.images.datasets import read_digits
from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.export.facts import answer_all, describe
from darts_lite.export.formats import FORMATS, export
from darts_lite.export.inference import Answer
from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.nasbench201 import read_string
from darts_lite.space.cells.search_space import mnist_space
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.protocol import AnyArchitecture

IMAGES = 100
"""Digits for which the answers of each file are compared with the net's."""
SEEN = ImagePreparation(1, 28, mean=(0.1307,), std=(0.3081,))
CHAIN = Chain(5, 16, 2, (Block(5, 24), Block(5, 32, 2), Block(5, 48)), head=3)
CELL = "|dw_conv_3x3~0|+|skip_connect~0|dw_conv_3x3~1|+|skip_connect~0|dw_conv_5x5~1|dw_conv_3x3~2|"


def nets() -> dict[str, tuple[AnyArchitecture, int]]:
    """The architectures, each with the shift in pixels over which it answers."""
    cells = Architecture({"normal": read_string(CELL)}, {}, mnist_space(channels=32).skeleton)
    return {"chain": (CHAIN, 0), "cells": (cells, 0), "cells, nine shifts": (cells, 1)}


def measure(architecture: AnyArchitecture, shifts: int, kinds: Sequence[str]) -> list[list[Any]]:
    """Kind, bytes, bytes in those of the weights, and milliseconds of each file of a net."""
    torch.manual_seed(0)
    net = Answer(Net(architecture, 1, 10), SEEN.mean, SEEN.std, shifts).eval()
    pixels = read_digits()[0].view(-1, 1, 28, 28)[::50][:IMAGES] / 255
    data = {"class_path": "darts_lite.ImageData", "init_args": {"dataset": "MNIST"}}
    about = {"data": data, "data_source": "none", "class_names": None, "preparation": SEEN}
    facts, expected = describe(net, about), answer_all(net, pixels)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            path = Path(folder) / f"net{FORMATS[kind].ending}"
            written = export(kind, net, facts, pixels, expected, path)
            ratio = written.size / (4 * facts["parameters"])
            figures = f"{written.size:,}", f"{ratio:.2f}", f"{written.milliseconds:.3f}"
            rows.append([f"{facts['parameters']:,}", kind, *figures])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--to", nargs="+", choices=FORMATS, default=["onnx", "pt2", "python"])
    options = parser.parse_args(arguments)
    silence()
    print(f"{cpu_name()}, one thread, torch {torch.__version__}\n")
    header = ("net", "parameters", "format", "bytes", "of its weights", "ms an image")
    found = {name: measure(*net, options.to) for name, net in nets().items()}
    print(table(header, [[name, *row] for name, rows in found.items() for row in rows]))


if __name__ == "__main__":
    main()
