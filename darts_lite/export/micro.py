"""Measures what a LiteRT file needs in the micro interpreter, which runs on small devices."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.export.inference import Answer
from darts_lite.export.litert_int8 import Scaling

NEEDED = "tflite_micro"
"""Module of the interpreter."""
TRY = """
import sys
from tflite_micro.python.tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))
"""
LARGEST = 1 << 26
"""Largest arena that is tried, in bytes."""


class Needs(NamedTuple):
    """Needs of a file on a device.

    Attributes:
        arena: Bytes of memory for activations and the interpreter's records of the net.
        file: Bytes of flash for the file.
    """

    arena: int
    file: int


def has_micro() -> bool:
    """Returns whether the micro interpreter is installed."""
    return find_spec(NEEDED) is not None


def measure_needs(path: Path) -> Needs:
    """Returns the smallest arena with which the micro interpreter runs a file, and its size."""
    low, high = 0, 1024
    while (refusal := _refuse(path, high)) is not None:
        low, high = high, 2 * high
        if high > LARGEST:
            raise ValueError(f"the micro interpreter does not run {path.name}: {refusal}")
    while high - low > 16:
        middle = (low + high) // 2
        low, high = (low, middle) if _refuse(path, middle) is None else (middle, high)
    return Needs(high, path.stat().st_size)


def ask_micro(net: Answer, path: Path, pixels: Tensor) -> Tensor:
    """Returns the probabilities ``(N, classes)`` that the micro interpreter gives to pixels."""
    interpreter = _open(path, LARGEST)
    details = interpreter.get_input_details(0), interpreter.get_output_details(0)
    given, answered = map(_read_quantization, details)
    scaling = Scaling.of(net, given, answered)
    answers = []
    for image in scaling.apply(net.front(pixels)).split(1):
        interpreter.set_input(image.numpy(), 0)
        interpreter.invoke()
        answers.append(torch.from_numpy(interpreter.get_output(0)))
    return scaling.read(torch.cat(answers))


def _read_quantization(told: dict[str, Any]) -> dict[str, Any]:
    values = told["quantization_parameters"]
    return {"quantization": (float(values["scales"][0]), int(values["zero_points"][0]))}


def _open(path: Path, arena: int) -> Any:
    runtime = import_module("tflite_micro.python.tflite_micro.runtime")
    return runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=arena)


def _refuse(path: Path, arena: int) -> str | None:
    """Returns why an arena is too small, or None if it is not.

    Each is tried in a process of its own, which some nets abort where it is too small.
    """
    command = [sys.executable, "-c", TRY, str(path.resolve()), str(arena)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return " ".join(done.stderr.split())[-200:] or f"it ended with status {done.returncode}"
