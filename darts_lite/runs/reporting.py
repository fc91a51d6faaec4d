"""Reports on a run: on the console, in ``summary.json`` and as TensorBoard's hyperparameters."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table
from rich.text import Text

from darts_lite.data.class_balance import describe_recalls, list_names
from darts_lite.data.images.image_folders import is_folder
from darts_lite.data.preparation import has_int8_files, name_items
from darts_lite.data.split_data import SplitData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search
from darts_lite.storage.components import flatten
from darts_lite.storage.data_places import hide_places
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import Score, halting
from darts_lite.storage.versions import describe_versions

SESSION = ("device", "processor", "precision", "versions")
"""What a summary keeps of each session of a run that differs from the one before."""


def describe_start(
    trainer: Trainer, model: LightningModule, data: SplitData, folder: RunFolder
) -> dict[str, Any]:
    """Prints what is about to run, and returns the part of the summary known before training."""
    sizes = dict(data.split_sizes)
    known: dict[str, Any] = {
        "dataset": name_data(data),
        "data_source": data.data_source,
        "data_checksum": data.checksum,
        "preparation": data.preparation and data.preparation.to_dict(),
        "classes": data.num_classes,
        "class_names": data.class_names and list(data.class_names),
        "train_images": sizes["weights"] + sizes["alphas"],
        "validation_images": sizes["validation"],
        "test_images": sizes["test"],
        "device": describe_device(trainer),
        "processor": torch.backends.cpu.get_cpu_capability(),  # its instructions decide rounding
        "precision": str(trainer.precision),
        "versions": describe_versions(),
    }
    known["sessions"] = [{name: known[name] for name in SESSION}]
    print(f"Data:      {known['dataset']}, {known['data_source']}")
    if data.preparation is not None:
        print(f"{data.called.capitalize() + ':':<10} {data.preparation.describe()}")
    print("Splits:    " + ", ".join(f"{count:,} {name}" for name, count in sizes.items()))
    print(f"Device:    {known['device']}, precision {known['precision']}")
    if isinstance(model, Search | Retraining) and model.task is not None:
        known |= describe_score(model)
        print(f"Task:      {model.task.loss}, told by {model.score.name}")
    if isinstance(model, ArchitectureSearch):
        known["executor"] = model.execution.name
    if isinstance(model, Search):
        for line in model.describe():
            print(line)
    if isinstance(model, Retraining):
        print(f"Net:       {model.net.count_parameters():,} parameters")
    print(f"Run:       {folder}", flush=True)
    return known


def describe_score(model: Search | Retraining) -> dict[str, Any]:
    """Returns the part of a summary that tells of a score of the user's task; else nothing."""
    return {} if model.task is None else {"score": model.score.to_dict()}


def name_data(data: SplitData) -> Any:
    """Returns the name or place of a run's items, as its summary tells it."""
    return hide_places(data.describe())["init_args"].get(data.named_by)


def add_session(summary: Mapping[str, Any], session: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the sessions of a resumed run, with its present one if it differs from the last.

    Warns of a difference, since other devices and versions round otherwise. In summaries of earlier
    versions the first session stands alone, and not all of it.
    """
    sessions = summary.get("sessions")
    if not isinstance(sessions, list) or not sessions:
        sessions = [{name: summary[name] for name in SESSION if name in summary}]
    then, now = dict(flatten(sessions[-1])), dict(flatten(session))
    changes = [
        f"{name}: {then.get(name, 'not told')} then, {now.get(name, 'not told')} now"
        for name in now | then
        if then.get(name) != now.get(name)
    ]
    if not changes:
        return sessions
    print(
        f"Warning: the run goes on elsewhere ({', '.join(changes)}), so its end may differ from "
        "that of an uninterrupted run: it is not the same bit for bit",
        flush=True,
    )
    return [*sessions, session]


def doubt_batches(
    data: SplitData, model: LightningModule, retrains: bool, processes: int
) -> Iterator[str]:
    """Yields a warning for each stage whose batches want more images than there are.

    Args:
        model: The module of the first stage.
        retrains: Whether a retraining follows.
        processes: Number of processes, which share a batch.
    """
    sizes, given = data.split_sizes, data.hparams
    half, both = min(sizes["weights"], sizes["alphas"]), sizes["weights"] + sizes["alphas"]
    repeats = given["search_batches_per_epoch"] is not None, given["least_batches_per_epoch"] > 1
    searches, retrains = isinstance(model, Search), retrains or isinstance(model, Retraining)
    for stage, is_run, setting, images, repeated in (
        ("search", searches, "search_batch_size", half, repeats[0]),
        ("retraining", retrains, "batch_size", both, repeats[1]),
    ):
        wanted = given[setting] * processes
        if is_run and wanted > images:
            held = f"holds each of them {wanted / images:.1f} times" if repeated else "holds all"
            yield (
                f"Warning: a batch of the {stage} is to have {wanted:,} {data.called}, and there "
                f"are only {images:,}, so it {held}; set data.{setting} to at most "
                f"{max(1, images // processes)}"
            )


def report(
    folder: RunFolder, summary: Mapping[str, Any], imports: Sequence[str] = (), dataset: str = ""
) -> None:
    """Prints the table of results and the files of the run; see `suggest_commands`."""

    def has(*names: str) -> bool:
        return all(summary.get(name) is not None for name in names)

    score = Score.of(summary)
    table = Table(title="Result")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    rows = {
        "data": f"{summary['dataset']}, {summary['data_source']}",
        "architecture": summary["architecture"],
        "parameters": _format(summary["params"], "{:,}"),
        "multiply-adds": _format(summary["macs"], "{:,}"),
        f"test {score.name}": score.tell(summary[score.of_test])
        + describe_part(summary, name_items(summary) or "items"),
        "search": _format(summary["search_seconds"], "{:.0f} s"),
        "retraining": _format(summary["retrain_seconds"], "{:.0f} s"),
    }
    if has("balanced_accuracy", "class_recalls"):
        rows["balanced accuracy"] = _format_percent(summary["balanced_accuracy"])
        rows["recall"] = describe_recalls(summary["class_recalls"])
    if has("memory", "flash"):
        memory, flash = summary["memory"], summary["flash"]
        rows["in int8"] = f"{memory:,} bytes of activations at once, {flash:,} of weights"
    if has("arena", "file") and has_int8_files(summary):
        arena, file = summary["arena"], summary["file"]
        rows["on a device"] = f"{arena:,} bytes of arena, {file:,} of an int8 LiteRT file"
    if has("agreement", "agreement_by_chance", "seeds"):
        by_chance = _format_percent(summary["agreement_by_chance"])
        rows[f"agreement of {len(summary['seeds'])} searches"] = (
            f"{_format_percent(summary['agreement'])} ({by_chance} by chance)"
        )
    if has("control_percentile", "control_interval", score.of_rivals):
        low, high = summary["control_interval"]
        made = "made by hand" if summary.get("control") == "uniform" else "random"
        rows[f"beats, of {len(summary[score.of_rivals])} nets, {made}"] = (
            f"{summary['control_percentile']:.0f} % (95 % interval: {low:.0f} to {high:.0f} %)"
        )
        if has(f"control_best_{score.of_test}"):
            best = score.tell(summary[f"control_best_{score.of_test}"])
            rows["the best of these by validation"] = f"{best} test"
    for name, value in rows.items():
        table.add_row(name, Text(value))  # a path may look like markup
    Console(force_jupyter=False).print(table)
    files = sorted(path.name + "/" * path.is_dir() for path in folder.path.glob("[!.]*"))
    print(f"Files in {folder}: {', '.join(files)}")
    print("To go on:")
    kind = name_items(summary)
    for command in suggest_commands(folder, imports, dataset if kind else None, kind or "images"):
        print(f"  python -m darts_lite {command}")


def suggest_commands(
    folder: RunFolder,
    imports: Sequence[str] = (),
    dataset: str | None = "",
    items: str = "images",
) -> list[str]:
    """Returns the commands that most people want after a run.

    Args:
        imports: Modules that define parts of its net.
        dataset: Name of its data set, or the folder of its items, which can be predicted; None
            where files hold no such items of classes.
        items: What these are called.
    """
    own = name_imports(imports)
    place = shlex.quote(str(folder.path))
    if not folder.net.exists():
        commands = [f"report {place}", f"plot {place}"]
        if dataset is not None and items == "images":  # as those of the preset retrain are
            found = shlex.quote(str(folder.architecture))
            data = f" --data.dataset {shlex.quote(dataset)}" * (dataset not in ("", "MNIST"))
            commands.append(f"fit --config retrain --model.architecture {found}{data}{own}")
        return commands
    net = shlex.quote(str(folder.net))
    if dataset is None:
        return [f"report {place}", f"test --ckpt_path {net}{own}"]
    return [
        f"report {place}",
        f"predict --ckpt_path {net} --{items} {name_place(dataset)}{own}",
        f"export {net}{own}",
    ]


def name_imports(imports: Sequence[str]) -> str:
    """Returns what makes a command import a run's modules; empty without any."""
    modules = f"[{','.join(imports)}]"  # quoted, as some shells take brackets for patterns
    return f" --run.imports {shlex.quote(modules)}" if imports else ""


def name_place(dataset: str) -> str:
    """Returns what stands for items in a command: the folder or file of a run, if it is there."""
    is_there = is_folder(dataset) or Path(dataset).is_file()
    return shlex.quote(dataset) if dataset and is_there else "PATH"


def log_hyperparameters(
    trainer: Trainer, settings: Mapping[str, Any], summary: Mapping[str, Any]
) -> None:
    """Writes the settings and the results to TensorBoard's page of hyperparameters."""
    names = (
        Score.of(summary).of_test,
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


def describe_part(summary: Mapping[str, Any], called: str) -> str:
    """Returns in words how many items were tested, if a limit has left some of them out."""
    tested, whole = summary.get("test_images"), summary.get("test_images_in_all")
    if whole in (None, tested):
        return ""
    absent = summary.get("untested_classes") or []
    none_of = f", none of them of {list_names(absent)}" if absent else ""
    return f" of {tested:,} of {whole:,} test {called}{none_of}"


def _format_percent(value: float | None) -> str:
    return _format(None if value is None else 100 * value, "{:.2f} %")


def _format(value: float | None, pattern: str) -> str:
    return "-" if value is None else pattern.format(value)
