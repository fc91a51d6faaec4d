"""`compare`: shows runs side by side, in the terminal and as TensorBoard's hyperparameters."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from darts_lite.storage.atomic_files import shorten_names
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary

Summary = Mapping[str, Any]
Runs = Sequence[tuple[str, Summary]]
"""Folder and summary of each run."""
COLUMNS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "algorithm": ("algorithm", str),
    "dataset": ("data", str),
    "train_images": ("images", "{:,}".format),
    "seed": ("seed", str),
    "test_accuracy": ("test\n%", lambda value: f"{100 * value:.2f}"),
    "validation_accuracy": ("valid.\n%", lambda value: f"{100 * value:.2f}"),
    "params": ("weights", "{:,}".format),
    "macs": ("M mult-\nadds", lambda value: f"{value / 1e6:.2f}"),
    "memory": ("bytes\nat once", "{:,}".format),
    "search_seconds": ("search\ns", "{:.0f}".format),
    "retrain_seconds": ("train\ns", "{:.0f}".format),
    "device": ("device", str),
    "architecture": ("architecture", str),
}
"""Maps an entry of a summary to its heading and its format."""
FIGURES = tuple(
    key for key in COLUMNS if key.endswith(("accuracy", "params", "macs", "memory", "seconds"))
)
"""Columns with results."""
SETTINGS = tuple(key for key in COLUMNS if key not in FIGURES)
"""Columns with settings, which are shown only if the runs differ in them."""
LONG = ("algorithm", "dataset", "device", "architecture")
"""Settings that are too long for the table, and so follow it in a line for each run."""


def run(options: argparse.Namespace) -> None:
    """Prints the runs, best first, and writes them for TensorBoard if that is asked for."""
    runs = sorted(find_runs(options.runs).items(), key=lambda item: _sort_key(item[1]))
    if options.json:
        print(json.dumps([{"run": name, **summary} for name, summary in runs]))
    else:
        Console().print(make_table(runs))
        for line in list_long_settings(runs, options.architectures):
            print(line)
    if options.tensorboard is not None:
        write_hyperparameters(runs, Path(options.tensorboard))
        where = sys.stderr if options.json else sys.stdout
        print(f"tensorboard --logdir {options.tensorboard}  # the page HPARAMS", file=where)


def find_runs(places: Sequence[str]) -> dict[str, Summary]:
    """Reads the summaries of the runs in and below folders, by absolute path of the run.

    Raises:
        ValueError: if a folder holds no run, or no summary can be read.
    """
    found: dict[str, Summary] = {}
    for place in dict.fromkeys(map(os.path.abspath, places)):
        folders = RunFolder.below(Path(place))
        for folder in folders:
            problem = f"{folder.summary} is damaged"
            summary: Summary = {}
            try:
                summary = read_summary(folder)
            except (OSError, ValueError) as error:
                problem = str(error)
            if summary:
                found[str(folder)] = summary
            else:
                warnings.warn(f"{problem}; this run is left out", stacklevel=2)
        if not folders:
            raise ValueError(
                f"no run in {place}; give folders of runs, which hold a summary.json, or of several"
            )
    if not found:
        raise ValueError("none of these runs can be read; name others")
    return found


def make_table(runs: Runs) -> Table:
    """Makes a table with a row for each run, without empty columns and settings that all share."""
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("run", overflow="fold")
    differing = _list_differing(runs)
    shown = [
        name
        for name in COLUMNS
        if (name in FIGURES and any(summary.get(name) is not None for _, summary in runs))
        or (name in differing and name not in LONG)
    ]
    for name in shown:
        table.add_column(COLUMNS[name][0], justify="right", no_wrap=True)
    for name, summary in _shorten_names(runs):
        table.add_row(Text(name), *(Text(_format_entry(key, summary.get(key))) for key in shown))
    return table


def list_long_settings(runs: Runs, architectures: bool = False) -> list[str]:
    """Lists the `LONG` settings in which the runs differ, in a line for each run."""
    shown = [key for key in _list_differing(runs) if key in LONG and key != "architecture"]
    shown += ["architecture"] if architectures else []
    return [
        f"{name}: " + "; ".join(_format_entry(key, summary.get(key)) for key in shown)
        for name, summary in _shorten_names(runs)
        if shown
    ]


def _shorten_names(runs: Runs) -> Runs:
    shortened = shorten_names([folder for folder, _ in runs])
    return [(name, summary) for name, (_, summary) in zip(shortened, runs, strict=True)]


def write_hyperparameters(runs: Runs, folder: Path) -> None:
    """Writes a TensorBoard log for each run: its algorithm, results and differing settings."""
    from torch.utils.tensorboard import SummaryWriter

    shown = {"algorithm", *_list_differing(runs)}
    for name, summary in _shorten_names(runs):
        settings = {key: str(summary[key]) for key in SETTINGS if key in shown and key in summary}
        figures = {
            f"final/{key}": float(summary[key]) for key in FIGURES if summary.get(key) is not None
        }
        with SummaryWriter(str(folder / name.replace("..", "_"))) as writer:
            writer.add_hparams(settings, figures, run_name=".")


def _list_differing(runs: Runs) -> list[str]:
    return [key for key in SETTINGS if len({str(summary.get(key)) for _, summary in runs}) > 1]


def _format_entry(name: str, value: Any) -> str:
    if value is None:
        return "-"
    try:
        return COLUMNS[name][1](value)
    except (TypeError, ValueError):  # the summary was changed by hand
        return str(value)


def _sort_key(summary: Summary) -> float:
    value = summary.get("test_accuracy")
    return -value if isinstance(value, int | float) else 1.0
