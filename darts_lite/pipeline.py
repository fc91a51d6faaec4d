"""The stages of a run: search, derive, retrain, test; each returns its part of the summary."""

import json
import math
import os
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table

from darts_lite import costs
from darts_lite.data import ImageData
from darts_lite.explore import Exploration
from darts_lite.plotting import draw_architecture
from darts_lite.plotting import save as save_figure
from darts_lite.retraining import Retraining
from darts_lite.search import ArchitectureSearch

Search = ArchitectureSearch | Exploration
PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "jsonargparse")
SMALLEST_DRIFT = 0.05
"""Below this the shares have hardly left their random start, and the architecture is luck."""


def search(
    trainer: Trainer,
    model: Search,
    data: ImageData,
    directory: Path,
    resume_from: str | None,
) -> dict[str, Any]:
    """Searches and leaves ``checkpoints/last.ckpt``, ``architecture.json`` and its drawing."""
    start = time.monotonic()
    trainer.fit(model, datamodule=data, ckpt_path=resume_from, weights_only=True)
    seconds = time.monotonic() - start
    trainer.save_checkpoint(directory / "checkpoints" / "last.ckpt")
    architecture = model.derive()
    architecture.save(directory / "architecture.json")
    save_figure(draw_architecture(architecture), directory / "architecture.png")
    results = model.results()
    planned = int(trainer.estimated_stepping_batches)
    if isinstance(model, ArchitectureSearch) and trainer.global_step < planned:
        print(f"The search was ended after {trainer.global_step} of {planned} steps.")
    if results.get("drift", 1.0) < SMALLEST_DRIFT:
        print(
            f"Warning: after {results['architecture_steps']} architecture steps the shares have "
            f"moved by only {results['drift']:.3f}: this architecture is close to a random one. "
            "Search longer, or raise the alphas' learning rate."
        )
    if isinstance(model, Exploration) and len(model.known) < model.evaluations:
        print(
            f"Warning: {len(model.known)} of {model.evaluations} evaluations were made; raise "
            "trainer.max_epochs for the rest."
        )
    return {
        "algorithm": model.algorithm,
        "search_seconds": round(seconds, 1),
        "search_epochs": trainer.current_epoch,
        "search_validation_accuracy": _metric(trainer, "search/validation_accuracy"),
        **results,
        "architecture": architecture.genotype(),
    }


def retrain(
    trainer: Trainer,
    model: Retraining,
    data: ImageData,
    directory: Path,
    resume_from: str | None,
) -> dict[str, Any]:
    """Trains the net, saves it as ``net.ckpt`` and reads the test set once."""
    model.architecture.save(directory / "architecture.json")
    save_figure(draw_architecture(model.architecture), directory / "architecture.png")
    start = time.monotonic()
    trainer.fit(model, datamodule=data, ckpt_path=resume_from, weights_only=True)
    seconds = time.monotonic() - start
    validation_accuracy = _metric(trainer, "retraining/validation_accuracy")
    epochs = trainer.current_epoch
    trainer.save_checkpoint(directory / "net.ckpt", weights_only=True)
    trainer.test(model, datamodule=data, verbose=False)
    return {
        "retrain_seconds": round(seconds, 1),
        "retrain_epochs": epochs,
        "validation_accuracy": validation_accuracy,
        "test_accuracy": _metric(trainer, "test/accuracy"),
        "test_loss": _metric(trainer, "test/loss"),
        "params": sum(p.numel() for p in model.net.parameters()),
        "macs": multiply_adds(model.net, data.image_size, model.hparams["in_channels"]),
        "architecture": model.architecture.genotype(),
    }


def multiply_adds(net: torch.nn.Module, image_size: int, channels: int) -> int:
    """Multiply-adds of convolutions and linear layers for one square image."""
    image = next(net.parameters()).new_zeros(1, channels, image_size, image_size)
    return int(costs.multiply_adds(net, image))


def describe_start(
    trainer: Trainer, model: LightningModule, data: ImageData, directory: Path
) -> dict[str, Any]:
    """Prints what is about to run, and returns the part of the summary that is known by then."""
    sizes = dict(data.split_sizes)
    known = {
        "dataset": data.hparams["dataset"],
        "data_source": data.data_source,
        "train_images": sizes["weights"] + sizes["alphas"],
        "validation_images": sizes["validation"],
        "test_images": sizes["test"],
        "device": _device_name(trainer),
        "precision": str(trainer.precision),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }
    print(f"Data:      {known['dataset']}, {known['data_source']}")
    print("Splits:    " + ", ".join(f"{count:,} {name}" for name, count in sizes.items()))
    print(f"Device:    {known['device']}, precision {known['precision']}")
    if isinstance(model, ArchitectureSearch):
        weights = sum(p.numel() for p in model.supernet.weights())
        alphas = sum(a.numel() for a in model.mixture.parameters())
        print(f"Supernet:  {weights:,} parameters and {alphas:,} alphas, space {model.space.name}")
    if isinstance(model, Exploration):
        choices = math.prod(model.encoding.sizes)
        print(f"Space:     {model.space.name}, {choices:,} architectures")
    if isinstance(model, Retraining):
        print(f"Net:       {sum(p.numel() for p in model.net.parameters()):,} parameters")
    print(f"Run:       {directory}", flush=True)
    return known


def write_summary(directory: Path, summary: Mapping[str, Any]) -> None:
    """Writes ``summary.json``; a crash while writing leaves the one before."""
    temporary = directory / "summary.json.tmp"
    temporary.write_text(json.dumps(summary, indent=2) + "\n")
    os.replace(temporary, directory / "summary.json")


def report(directory: Path, summary: Mapping[str, Any]) -> None:
    """Prints the closing table and where the files lie."""
    table = Table(title="Result")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    rows = {
        "architecture": summary["architecture"],
        "parameters": _grouped(summary["params"]),
        "multiply-adds": _grouped(summary["macs"]),
        "test accuracy": _percent(summary["test_accuracy"]),
        "search": _seconds(summary["search_seconds"]),
        "retraining": _seconds(summary["retrain_seconds"]),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
    files = sorted(path.name for path in directory.iterdir() if path.is_file())
    print(f"Files in {directory}: {', '.join(files)}")


def log_hyperparameters(
    trainer: Trainer, settings: Mapping[str, Any], summary: Mapping[str, Any]
) -> None:
    """Puts the settings and the final figures on TensorBoard's page of hyperparameters."""
    names = ("test_accuracy", "test_loss", "params", "macs", "search_seconds", "retrain_seconds")
    metrics = {f"final/{n}": float(summary[n]) for n in names if summary.get(n) is not None}
    seed = {"seed": summary["seed"], "algorithm": summary["algorithm"]}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(seed | dict(settings), metrics)
            logger.save()


def _metric(trainer: Trainer, name: str) -> float | None:
    value = trainer.callback_metrics.get(name)
    return None if value is None else float(value)


def _device_name(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def _grouped(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"
