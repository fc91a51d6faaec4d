"""The stages of a run: search, derive, retrain, test; each returns its part of the summary."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from darts_lite import costs
from darts_lite.data import ImageData
from darts_lite.explore import Exploration
from darts_lite.plotting import draw_architecture
from darts_lite.plotting import save as save_figure
from darts_lite.retraining import Retraining
from darts_lite.search import ArchitectureSearch

Search = ArchitectureSearch | Exploration
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


def _metric(trainer: Trainer, name: str) -> float | None:
    value = trainer.callback_metrics.get(name)
    return None if value is None else float(value)
