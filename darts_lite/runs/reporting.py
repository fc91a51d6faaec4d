"""What a run tells of itself: on the console, in ``summary.json``, among the hyperparameters."""

import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table

from darts_lite.data.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.storage.run_record import halting

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "jsonargparse")


def describe_start(
    trainer: Trainer, model: LightningModule, data: ImageData, directory: Path
) -> dict[str, Any]:
    """Prints what is about to run, and returns the part of the summary that is known by then."""
    sizes = dict(data.split_sizes)
    known: dict[str, Any] = {
        "dataset": data.hparams["dataset"],
        "data_source": data.data_source,
        "data_checksum": data.checksum,
        "train_images": sizes["weights"] + sizes["alphas"],
        "validation_images": sizes["validation"],
        "test_images": sizes["test"],
        "device": device_name(trainer),
        "precision": str(trainer.precision),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }
    print(f"Data:      {known['dataset']}, {known['data_source']}")
    print("Splits:    " + ", ".join(f"{count:,} {name}" for name, count in sizes.items()))
    print(f"Device:    {known['device']}, precision {known['precision']}")
    if isinstance(model, ArchitectureSearch):
        known["executor"] = model.execution.name
        weights = sum(p.numel() for p in model.supernet.weights())
        alphas = sum(a.numel() for a in model.mixture.parameters())
        print(f"Supernet:  {weights:,} parameters and {alphas:,} alphas, space {model.space.name}")
        print(f"Executor:  {model.execution.name}")
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= model.warmup_epochs:
            print(
                f"Warning: model.warmup_epochs is {model.warmup_epochs} and trainer.max_epochs "
                f"{trainer.max_epochs}, so the alphas are never moved; change one of them"
            )
    if isinstance(model, Exploration):
        choices = math.prod(model.encoding.sizes)
        print(f"Space:     {model.space.name}, {choices:,} architectures")
    if isinstance(model, Retraining):
        print(f"Net:       {sum(p.numel() for p in model.net.parameters()):,} parameters")
    print(f"Run:       {directory}", flush=True)
    return known


def report(directory: Path, summary: Mapping[str, Any]) -> None:
    """Prints the closing table and where the files lie."""
    table = Table(title="Result")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    rows = {
        "data": f"{summary['dataset']}, {summary['data_source']}",
        "architecture": summary["architecture"],
        "parameters": _grouped(summary["params"]),
        "multiply-adds": _grouped(summary["macs"]),
        "test accuracy": _percent(summary["test_accuracy"]),
        "search": _seconds(summary["search_seconds"]),
        "retraining": _seconds(summary["retrain_seconds"]),
    }
    if "agreement" in summary:
        rows[f"agreement of {len(summary['seeds'])} searches"] = (
            f"{_percent(summary['agreement'])} ({_percent(summary['agreement_by_chance'])} by luck)"
        )
    if "control_percentile" in summary:
        low, high = summary["control_interval"]
        rows[f"beats, of {len(summary['control_test_accuracies'])} random nets"] = (
            f"{summary['control_percentile']:.0f} % (95 % interval: {low:.0f} to {high:.0f} %)"
        )
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
    files = sorted(path.name + "/" * path.is_dir() for path in directory.glob("[!.]*"))
    print(f"Files in {directory}: {', '.join(files)}")


def log_hyperparameters(
    trainer: Trainer, settings: Mapping[str, Any], summary: Mapping[str, Any]
) -> None:
    """Puts the settings and the final figures on TensorBoard's page of hyperparameters."""
    names = (
        *("test_accuracy", "test_loss", "params", "macs", "search_seconds", "retrain_seconds"),
        *("agreement", "control_percentile"),
    )
    metrics = {f"final/{n}": float(summary[n]) for n in names if summary.get(n) is not None}
    seed = {"seed": summary["seed"], "algorithm": summary["algorithm"]}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            with halting(Path(logger.log_dir)):
                logger.log_hyperparams(seed | named_briefly(settings), metrics)
                logger.save()


def named_briefly(settings: Any) -> Any:
    """Settings without the levels ``class_path`` and ``init_args``, as columns want them.

    A class stands as ``class`` among its arguments, or alone where it has none.
    """
    if isinstance(settings, list):
        return [named_briefly(setting) for setting in settings]
    if not isinstance(settings, Mapping):
        return settings
    inside = dict(settings)
    if "class_path" in inside:
        name = str(inside.pop("class_path")).rpartition(".")[2]
        arguments = inside.pop("init_args", None)
        inside |= arguments if isinstance(arguments, Mapping) else {}
        if not inside:
            return name
        inside = {"class": name, **inside}
    return {key: named_briefly(value) for key, value in inside.items()}


def device_name(trainer: Trainer) -> str:
    """What a trainer computes on: its type, and which one or with how many threads."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {torch.get_num_threads()} threads"


def _grouped(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"
