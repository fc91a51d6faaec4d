"""`compare`: several runs side by side, in the terminal and as TensorBoard's hyperparameters."""

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

from darts_lite.storage.atomic_files import short_names
from darts_lite.storage.run_record import SUMMARY, read_summary

Summary = Mapping[str, Any]
COLUMNS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "algorithm": ("algorithm", str),
    "dataset": ("data", str),
    "train_images": ("images", "{:,}".format),
    "seed": ("seed", str),
    "test_accuracy": ("test\n%", lambda value: f"{100 * value:.2f}"),
    "validation_accuracy": ("valid.\n%", lambda value: f"{100 * value:.2f}"),
    "params": ("weights", "{:,}".format),
    "macs": ("M mult-\nadds", lambda value: f"{value / 1e6:.2f}"),
    "search_seconds": ("search\ns", "{:.0f}".format),
    "retrain_seconds": ("train\ns", "{:.0f}".format),
    "device": ("device", str),
    "architecture": ("architecture", str),
}
"""Entry of a summary -> its heading, and how it is written."""
FIGURES = tuple(
    name for name in COLUMNS if name.endswith(("accuracy", "params", "macs", "seconds"))
)
SETTINGS = tuple(name for name in COLUMNS if name not in FIGURES)
LONG = ("algorithm", "dataset", "device", "architecture")
"""Of these, those that stand below the table, a line for each run."""


def run(options: argparse.Namespace) -> None:
    """Prints the runs, best first, and writes them for TensorBoard where that is asked for.

    Raises:
        ValueError: if there is no run to compare.
    """
    runs = sorted(find_runs(options.runs).items(), key=lambda item: _accuracy(item[1]))
    if options.json:
        print(json.dumps([{"run": name, **summary} for name, summary in runs]))
    else:
        Console().print(table(runs))
        for line in lines_below(runs, options.architectures):
            print(line)
    if options.tensorboard is not None:
        write_hyperparameters(runs, Path(options.tensorboard))
        where = sys.stderr if options.json else sys.stdout
        print(f"tensorboard --logdir {options.tensorboard}  # the page HPARAMS", file=where)


def find_runs(places: Sequence[str]) -> dict[str, Summary]:
    """The summaries of runs in and below folders, by absolute path.

    Raises:
        ValueError: if a folder holds none, or none that can be read.
    """
    found: dict[str, Summary] = {}
    for place in dict.fromkeys(map(os.path.abspath, places)):
        below = sorted(path.parent for path in Path(place).rglob(SUMMARY))
        read = {str(path): read_summary(path) for path in below}
        whole = {name: summary for name, summary in read.items() if summary}
        for name in sorted(read.keys() - whole.keys()):
            warnings.warn(f"{name}/{SUMMARY} is damaged, and this run left out", stacklevel=2)
        found |= whole
        if not read:
            raise ValueError(
                f"no run in {place}; give folders of runs, which hold a {SUMMARY}, or of several"
            )
    if not found:
        raise ValueError("none of these runs can be read; name others")
    return found


def table(runs: Sequence[tuple[str, Summary]]) -> Table:
    """A row per run, without columns that no run has anything for or all have the same in.

    Args:
        runs: Folders and summaries.
    """
    made = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    made.add_column("run", overflow="fold")
    differing = _differing(runs)
    shown = [
        name
        for name in COLUMNS
        if (name in FIGURES and any(summary.get(name) is not None for _, summary in runs))
        or (name in differing and name not in LONG)
    ]
    for name in shown:
        made.add_column(COLUMNS[name][0], justify="right", no_wrap=True)
    for name, (_, summary) in zip(_names(runs), runs, strict=True):
        made.add_row(Text(name), *(Text(_cell(key, summary.get(key))) for key in shown))
    return made


def lines_below(runs: Sequence[tuple[str, Summary]], architectures: bool = False) -> list[str]:
    """What is too long for a table, where runs differ in it.

    Args:
        runs: Folders and summaries.
        architectures: Whether to tell what was found as well.
    """
    told = [key for key in _differing(runs) if key in LONG and key != "architecture"]
    told += ["architecture"] if architectures else []
    return [
        f"{name}: " + "; ".join(_cell(key, summary.get(key)) for key in told)
        for name, (_, summary) in zip(_names(runs), runs, strict=True)
        if told
    ]


def _names(runs: Sequence[tuple[str, Summary]]) -> list[str]:
    return short_names([folder for folder, _ in runs])


def write_hyperparameters(runs: Sequence[tuple[str, Summary]], folder: Path) -> None:
    """The settings in which runs differ, their algorithm and figures, below a folder.

    Each run has a TensorBoard log of its own there.
    """
    from torch.utils.tensorboard import SummaryWriter

    shown = {"algorithm", *_differing(runs)}
    for name, (_, summary) in zip(_names(runs), runs, strict=True):
        settings = {key: str(summary[key]) for key in SETTINGS if key in shown and key in summary}
        figures = {
            f"final/{key}": float(summary[key]) for key in FIGURES if summary.get(key) is not None
        }
        with SummaryWriter(str(folder / name.replace("..", "_"))) as writer:
            writer.add_hparams(settings, figures, run_name=".")


def _differing(runs: Sequence[tuple[str, Summary]]) -> list[str]:
    return [key for key in SETTINGS if len({str(summary.get(key)) for _, summary in runs}) > 1]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    try:
        return COLUMNS[name][1](value)
    except (TypeError, ValueError):  # a summary that somebody changed
        return str(value)


def _accuracy(summary: Summary) -> float:
    value = summary.get("test_accuracy")
    return -value if isinstance(value, int | float) else 1.0
