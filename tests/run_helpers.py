"""Complete runs, quiet trainers, small settings, data files and proxies for several tests."""

import contextlib
import functools
import io
import json
import socket
import struct
import threading
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from darts_lite.cli.lightning_cli import main
from darts_lite.cli.main import main as verbs
from darts_lite.data.images.datasets import DATASETS, read_digits
from darts_lite.derivation.costs import measure_costs
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.cost_tables import CostTable, Images
from darts_lite.space.protocol import Space
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary

SMALL = SearchSpace(
    ("none", "skip_connect", "max_pool_3x3", "conv_3x3"),
    nodes=2,
    channels=4,
    cells=2,
    reductions=(1,),
    stem="conv3x3_stride2",
)


def cost_table(space: Space, cost: str, in_channels: int = 1, side: int = 13) -> CostTable:
    """The costs of a space's architectures for ten classes."""
    costs = measure_costs(space, cost, Images(in_channels, 10, side))
    assert isinstance(costs, CostTable)
    return costs


FEW_NETS = [
    *("--model.by_hand=1", "--model.at_random=1", "--model.cohorts=0", "--model.finalists=1"),
]
"""Options of a play-off that takes eight steps."""

QUICK: dict[str, Any] = {
    "seed_everything": 3,
    "run": {"name": "quick", "launcher": "here"},
    "trainer": {"max_epochs": 2, "log_every_n_steps": 1, "accelerator": "cpu"},
    "model": {
        "class_path": "darts_lite.ArchitectureSearch",
        "init_args": {
            "space": {
                "class_path": "darts_lite.SearchSpace",
                "init_args": {
                    "candidates": ["none", "skip_connect", "max_pool_3x3", "conv_3x3"],
                    "nodes": 2,
                    "channels": 4,
                    "cells": 2,
                    "reductions": [1],
                    "stem": "conv3x3_stride2",
                },
            },
            "regularizers": [
                {"class_path": "darts_lite.BetaDecay", "init_args": {"strength": 0.1}}
            ],
        },
    },
    "retraining": {"max_epochs": 2, "ema_decay": 0.9, "drop_path": 0.1},
    "data": {
        "search_batch_size": 100,
        "train_images": 2000,
        "augmentation": {"class_path": "darts_lite.Augmentation", "init_args": {"shift": 1}},
    },
}
"""Settings of a complete run of some seconds."""


class Finished:
    """A complete run that tests look at."""

    def __init__(self, folder: Path, digits_root: str) -> None:
        self.folder = folder
        self.config = folder / "quick.yaml"
        self.config.write_text(yaml.safe_dump(QUICK))
        self.data = ["--data.root", digits_root, "--run.folder", str(folder / "logs")]
        main(["fit", "--config", str(self.config), *self.data])
        self.directory = folder / "logs" / "quick" / "version_0"
        self.summary = json.loads((self.directory / "summary.json").read_text())


class OwnImages:
    """A complete run on a folder of digits, 20 of each of 3 classes, 10 of them for test."""

    def __init__(self, folder: Path) -> None:
        self.images, self.directory = folder / "photos", folder / "retrain" / "version_0"
        for number, image in enumerate(some_digits()[0][:60]):
            path = self.images / f"class {number % 3}" / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).save(path)
        words = ["--config=retrain", "--model.architecture=DARTS_V2", "--model.channels=2"]
        words += ["--model.cells=3", "--trainer.max_epochs=1", "--data.batch_size=8"]
        verbs(["fit", *words, f"--data.dataset={self.images}", f"--run.folder={folder}"])
        self.held_out = (self.directory / "held_out.txt").read_text().splitlines()


class Exported:
    """All files that need no TensorFlow, of a complete run, and what was printed."""

    formats = ("onnx", "pt2", "safetensors", "python")

    def __init__(self, finished: Finished, folder: Path) -> None:
        self.folder = folder
        words = ["--to", *self.formats, "--output", str(folder), "--images", "1000"]
        with contextlib.redirect_stdout(io.StringIO()) as said, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own
            warnings.simplefilter("ignore", FutureWarning)
            verbs(["export", str(finished.directory / "net.ckpt"), *words])
        self.said = said.getvalue()


def some_slow(fast: Iterable[Any], slow: Iterable[Any]) -> list[Any]:
    """Cases of a test, of which some are tried with the slow tests only."""
    return [*fast, *(pytest.param(case, marks=pytest.mark.slow) for case in slow)]


def files(directory: Path) -> set[str]:
    """All files of a folder."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def quiet_trainer(**settings: Any) -> Trainer:
    """A trainer on the CPU that prints and writes nothing."""
    defaults = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "log_every_n_steps": 1,
    }
    return Trainer(**{**defaults, **settings})


def fast_sgd(parameters: Any) -> torch.optim.Optimizer:
    """SGD quick enough for a few dozen steps."""
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


@functools.cache
def all_digits() -> tuple[Tensor, Tensor]:
    """The package's digits, 500 of each class: uint8 (5000, 28, 28), uint8 (5000,)."""
    images, labels = read_digits()
    return images.view(-1, 28, 28), labels.to(torch.uint8)


@functools.cache
def some_digits() -> tuple[Tensor, Tensor]:
    """300 real digits, 30 of each class: uint8 (300, 28, 28), uint8 (300,)."""
    chosen = torch.arange(0, 5000, 500).repeat(30) + torch.arange(30).repeat_interleave(10)
    images, labels = all_digits()
    return images[chosen], labels[chosen]


def idx(values: Tensor) -> bytes:
    """``values`` in the idx format: uint8, or int32 for QMNIST's labels."""
    kind = {torch.uint8: 0x08, torch.int32: 0x0C}[values.dtype]
    header = struct.pack(f">{1 + values.ndim}I", kind << 8 | values.ndim, *values.shape)
    data = values.numpy()
    return header + data.astype(data.dtype.newbyteorder(">")).tobytes()


def write_files(root: Path, name: str, contents: Iterable[bytes]) -> None:
    """Fill the files of a data set, in the order of its entry in `DATASETS`."""
    for file, content in zip(DATASETS[name].files, contents, strict=True):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(content)


def write_digits(root: Path, train: Tensor, test: Tensor) -> None:
    """Fill MNIST's files with the chosen ones of all digits."""
    parts = [values[chosen] for chosen in (train, test) for values in all_digits()]
    write_files(root, "MNIST", map(idx, parts))


def mnist_contents(labels: Tensor | None = None) -> list[bytes]:
    """MNIST's files with 300 real digits, 100 of them for test."""
    images, truth = some_digits()
    labels = truth if labels is None else labels
    return [idx(images[:200]), idx(labels[:200]), idx(images[200:]), idx(labels[200:])]


def use_proxy(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Send every connection to a proxy."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, address)
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # urllib remembers the proxies it met first
    monkeypatch.setattr("urllib.request._opener", None)


class Proxy:
    """A real server on this machine that accepts every connection and answers ``reply``."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections.append(connection)
            if self.reply:
                connection.recv(65536)
                connection.sendall(self.reply)

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
        for connection in self.connections:
            connection.close()


def one_line(error: pytest.ExceptionInfo[Exception], *words: object) -> None:
    """The message is one line that holds these words."""
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message, message


def refusal(given: Any) -> str:
    """The message with which `Architecture.of` refuses what is given."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        Architecture.of(given)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 700
    return message


class Outcome(NamedTuple):
    """What a run has left: figures of its summary, tensors of its nets, TensorBoard's values."""

    figures: dict[str, Any]
    tensors: dict[str, Tensor]
    scalars: dict[str, list[tuple[int, float]]]


def read_outcome(directory: Path) -> Outcome:
    """All that an interruption must not change, from the folder of a run."""
    summary = read_summary(RunFolder(directory))
    names = ("test_loss", "validation_accuracy", "search_validation_accuracy", "architecture")
    tensors = {
        f"{file}/{name}": value
        for file in ("checkpoints/last.ckpt", "net.ckpt")
        for name, value in Checkpoint.read(directory / file).weights.items()
    }
    events = EventAccumulator(str(directory)).Reload()
    scalars = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.endswith("seconds")
    }
    return Outcome({name: summary[name] for name in names}, tensors, scalars)
