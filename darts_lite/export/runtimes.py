"""Asks exported files in their own runtimes, and measures how long an image takes there."""

import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from darts_lite.data.preparation import build_preparation
from darts_lite.export.facts import BATCH
from darts_lite.export.inference import Answer
from darts_lite.networks.net import load_weights

CALLS = 40
"""How often one image is asked to measure its time; the first quarter is a warm-up."""


class Answered(NamedTuple):
    """Answers of a file, ``(N, classes)``, and its median time for one image, in one thread."""

    probabilities: Tensor
    milliseconds: float


def ask_batches(run: Callable[[Tensor], Tensor], pixels: Tensor, batch: int = BATCH) -> Answered:
    """Asks for all images, then for one of them again and again."""
    with torch.no_grad():
        answers = torch.cat([run(part) for part in pixels.split(batch)])
        with _one_thread():
            taken = timeit.repeat(lambda: run(pixels[:1]), number=1, repeat=CALLS)
    return Answered(answers, 1000 * statistics.median(taken[CALLS // 4 :]))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def ask_onnx(path: Path, pixels: Tensor) -> Answered:
    """Asks ONNX Runtime for the answers to items ``(N, ...)``; so do the others here."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(path, options)
    name = session.get_inputs()[0].name
    return ask_batches(
        lambda part: torch.from_numpy(session.run(None, {name: part.numpy()})[0]), pixels
    )


def ask_pt2(path: Path, pixels: Tensor) -> Answered:
    """Asks torch for the program in a file of `torch.export`."""
    return ask_batches(torch.export.load(path).module(), pixels)


def ask_litert(path: Path, pixels: Tensor) -> Answered:
    """Asks LiteRT, one image at a time."""
    make = import_module("ai_edge_litert.interpreter").Interpreter
    interpreter = make(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(image: Tensor) -> Tensor:
        interpreter.set_tensor(given["index"], image.numpy())
        interpreter.invoke()
        return torch.from_numpy(interpreter.get_tensor(answered["index"]))

    return ask_batches(run, pixels, batch=1)


def ask_safetensors(path: Path, pixels: Tensor) -> Answered:
    """Asks this package's own net, built from the file alone."""
    net, about = load_weights(path)
    seen = build_preparation(about["preparation"])
    answer = Answer(net, seen.mean, seen.std, about["test_shifts"], seen.front())
    return ask_batches(answer.eval(), pixels)


ANSWER_SCRIPT = """
import runpy, statistics, sys, timeit, torch
load = runpy.run_path(sys.argv[1])["load"]
pixels, batch, calls = torch.load(sys.argv[2], weights_only=True)
net = load()
with torch.no_grad():
    answers = torch.cat([net(part) for part in pixels.split(batch)])
    torch.set_num_threads(1)
    taken = timeit.repeat(lambda: net(pixels[:1]), number=1, repeat=calls)
torch.save((answers, 1000 * statistics.median(taken[calls // 4 :])), sys.argv[3])
"""


def ask_python(path: Path, pixels: Tensor) -> Answered:
    """Asks a standalone file in a fresh interpreter, which does not see this package.

    Raises:
        ValueError: if it cannot be run.
    """
    given, answers = path.with_name("pixels.pt"), path.with_name("answers.pt")
    torch.save((pixels.clone(), BATCH, CALLS), given)
    words = [str(file.resolve()) for file in (path, given, answers)]
    command = [sys.executable, "-I", "-c", ANSWER_SCRIPT, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{path} cannot be run: {done.stderr.strip().splitlines()[-1]}")
    return Answered(*torch.load(answers, weights_only=True))
