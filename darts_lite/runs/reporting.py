"""Reports on a run: on the console, in ``summary.json`` and as TensorBoard's hyperparameters."""

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
from rich.text import Text

from darts_lite.data.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import halting

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "jsonargparse")


def describe_start(
    trainer: Trainer, model: LightningModule, data: ImageData, folder: RunFolder
) -> dict[str, Any]:
    """Prints what is about to run, and returns the part of the summary known before training."""
    sizes = dict(data.split_sizes)
    known: dict[str, Any] = {
        "dataset": data.hparams["dataset"],
        "data_source": data.data_source,
        "data_checksum": data.checksum,
        "train_images": sizes["weights"] + sizes["alphas"],
        "validation_images": sizes["validation"],
        "test_images": sizes["test"],
        "device": describe_device(trainer),
        "precision": str(trainer.precision),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }
    print(f"Data:      {known['dataset']}, {known['data_source']}")
    print("Splits:    " + ", ".join(f"{count:,} {name}" for name, count in sizes.items()))
    print(f"Device:    {known['device']}, precision {known['precision']}")
    if isinstance(model, ArchitectureSearch):
        known["executor"] = model.execution.name
    if isinstance(model, Search):
        for line in model.describe(trainer.max_epochs):
            print(line)
    if isinstance(model, Retraining):
        print(f"Net:       {sum(p.numel() for p in model.net.parameters()):,} parameters")
    print(f"Run:       {folder}", flush=True)
    return known


def report(folder: RunFolder, summary: Mapping[str, Any]) -> None:
    """Prints the table of results and the files of the run."""

    def has(*names: str) -> bool:
        return all(summary.get(name) is not None for name in names)

    table = Table(title="Result")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    rows = {
        "data": f"{summary['dataset']}, {summary['data_source']}",
        "architecture": summary["architecture"],
        "parameters": _format(summary["params"], "{:,}"),
        "multiply-adds": _format(summary["macs"], "{:,}"),
        "test accuracy": _format_percent(summary["test_accuracy"]),
        "search": _format(summary["search_seconds"], "{:.0f} s"),
        "retraining": _format(summary["retrain_seconds"], "{:.0f} s"),
    }
    if has("agreement", "agreement_by_chance", "seeds"):
        by_chance = _format_percent(summary["agreement_by_chance"])
        rows[f"agreement of {len(summary['seeds'])} searches"] = (
            f"{_format_percent(summary['agreement'])} ({by_chance} by chance)"
        )
    if has("control_percentile", "control_interval", "control_test_accuracies"):
        low, high = summary["control_interval"]
        rows[f"beats, of {len(summary['control_test_accuracies'])} random nets"] = (
            f"{summary['control_percentile']:.0f} % (95 % interval: {low:.0f} to {high:.0f} %)"
        )
    for name, value in rows.items():
        table.add_row(name, Text(value))  # a path may look like markup
    Console().print(table)
    files = sorted(path.name + "/" * path.is_dir() for path in folder.path.glob("[!.]*"))
    print(f"Files in {folder}: {', '.join(files)}")


def log_hyperparameters(
    trainer: Trainer, settings: Mapping[str, Any], summary: Mapping[str, Any]
) -> None:
    """Writes the settings and the results to TensorBoard's page of hyperparameters."""
    names = (
        "test_accuracy",
        "test_loss",
        "params",
        "macs",
        "search_seconds",
        "retrain_seconds",
        "agreement",
        "control_percentile",
    )
    metrics = {f"final/{n}": float(summary[n]) for n in names if summary.get(n) is not None}
    seed = {"seed": summary["seed"], "algorithm": summary["algorithm"]}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            with halting(Path(logger.log_dir)):
                logger.log_hyperparams(seed | shorten_settings(settings), metrics)
                logger.finalize("success")  # ends the thread that writes its file


def shorten_settings(settings: Any) -> Any:
    """Returns settings without the levels ``class_path`` and ``init_args``, for short columns.

    The class becomes the entry ``class`` beside its arguments, or stands alone if it has none.
    """
    if isinstance(settings, list):
        return [shorten_settings(setting) for setting in settings]
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
    return {key: shorten_settings(value) for key, value in inside.items()}


def describe_device(trainer: Trainer) -> str:
    """Returns the type of a trainer's device, and its name or its number of threads."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {torch.get_num_threads()} threads"


def _format_percent(value: float | None) -> str:
    return _format(None if value is None else 100 * value, "{:.2f} %")


def _format(value: float | None, pattern: str) -> str:
    return "-" if value is None else pattern.format(value)
