"""`compare`: shows runs, or groups of them, side by side: in the terminal and in TensorBoard."""

import argparse
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from darts_lite.cli.verbs.run_groups import UNSET, Group, Runs, Summary, group_runs
from darts_lite.storage.atomic_files import shorten_names
from darts_lite.storage.run_folder import CONTROLS, SEEDS, RunFolder
from darts_lite.storage.run_record import Score, read_summary

Page = tuple[str, Mapping[str, str], Mapping[str, float]]
"""Name, settings and figures of what TensorBoard shows as one row."""
NAME, WIDEST = 16, 500
"""Characters that a table's names have if they need them, and that any table has room in."""
LONGEST = 60
"""Largest number of characters of a group's name in the name of a folder."""
COLUMNS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "algorithm": ("algorithm", str),
    "dataset": ("data", str),
    "train_images": ("images", "{:,}".format),
    "seed": ("seed", str),
    "test_accuracy": ("test\n%", lambda value: f"{100 * value:.2f}"),
    "validation_accuracy": ("valid.\n%", lambda value: f"{100 * value:.2f}"),
    "test_score": ("test\nscore", "{:.5g}".format),
    "validation_score": ("valid.\nscore", "{:.5g}".format),
    "score": ("metric", lambda value: value["name"]),
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
    key
    for key in COLUMNS
    if key.endswith(("accuracy", "_score", "params", "macs", "memory", "seconds"))
)
"""Columns with results."""
SETTINGS = tuple(key for key in COLUMNS if key not in FIGURES)
"""Columns with settings, which are shown only if the runs differ in them."""
LONG = ("algorithm", "dataset", "device", "architecture")
"""Settings that are too long for the table, and so follow it in a line for each run."""
UNSET_BY_USERS = ("algorithm", "train_images", "device")
"""Settings that are not in a configuration, at least not by these names."""
PAGE = ".compared"
"""How the names of files end that TensorBoard shows as pages of a comparison."""
MOST_NAMES = 8
"""Largest number of settings that a note names."""
GROUP_COLUMNS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "runs": ("n", str),
    "validation_accuracy": ("mean\nvalid. %", COLUMNS["validation_accuracy"][1]),
    "test_accuracy": ("mean\ntest %", COLUMNS["test_accuracy"][1]),
    "test_accuracy_deviation": ("devia-\ntion", COLUMNS["test_accuracy"][1]),
    "search_seconds": ("mean\nsearch s", COLUMNS["search_seconds"][1]),
    "best_test_accuracy": ("best:\ntest %", COLUMNS["test_accuracy"][1]),
}
"""Maps a figure of a group to its heading and its format."""


class View(NamedTuple):
    """Runs or groups, best first, as JSON, in the terminal and in TensorBoard."""

    records: list[dict[str, Any]]
    table: Table
    lines: list[str]
    pages: Iterator[Page]


def run(options: argparse.Namespace) -> None:
    """Prints runs or groups, best first, and writes them for TensorBoard if that is asked for."""
    found = leave_out_parts(find_runs(options.runs))
    runs = sorted(found.items(), key=lambda item: _sort_key(item[1]))
    if options.group is None:
        view = view_runs(runs, options.architectures)
    else:
        view = view_groups(options.group, group_runs(runs, options.group, SETTINGS))
    if options.json:
        print(json.dumps(view.records))
    else:
        print_view(view)
    if options.tensorboard is not None:
        write_hyperparameters(view.pages, Path(options.tensorboard))
        where = sys.stderr if options.json else sys.stdout
        print(f"tensorboard --logdir {options.tensorboard}  # the page HPARAMS", file=where)


def print_view(view: View) -> None:
    """Prints a table and what follows it.

    A terminal that is too narrow for figures and `NAME` characters of names breaks its lines.
    """
    console, names = Console(force_jupyter=False), view.table.columns[0]
    names.max_width = NAME
    needed = console.measure(view.table, options=console.options.update(width=WIDEST)).maximum
    names.max_width = None
    console.width = max(console.width, needed)
    console.print(view.table)
    for line in view.lines:
        print(line)


def view_runs(runs: Runs, architectures: bool) -> View:
    """Returns what is shown of runs."""
    records = [{"run": name, **summary} for name, summary in runs]
    lines = list_long_settings(runs, architectures)
    return View(records, make_table(runs), lines, describe_runs(runs))


def view_groups(setting: str, groups: Sequence[Group]) -> View:
    """Returns what is shown of groups by a setting."""
    records = [{setting: group.value, **group.describe()} for group in groups]
    table = make_group_table(setting, groups)
    return View(records, table, list_notes(groups), describe_groups(setting, groups))


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


def leave_out_parts(runs: Mapping[str, Summary]) -> dict[str, Summary]:
    """Returns the runs without the searches and rivals that are parts of others among them.

    Tells on standard error how many there are.
    """
    parts = {
        name
        for name in runs
        if (place := Path(name)).parent.name in (SEEDS, CONTROLS) and str(place.parents[1]) in runs
    }
    if parts:
        print(
            f"Left out: {len(parts)} searches and rivals that are parts of runs; to compare them, "
            f"give their folder, as {Path(min(parts)).parent}",
            file=sys.stderr,
        )
    return {name: summary for name, summary in runs.items() if name not in parts}


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


def make_group_table(setting: str, groups: Sequence[Group]) -> Table:
    """Makes a table with a row for each group, without empty columns."""
    described = [group.describe() for group in groups]
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column(setting, overflow="fold")
    shown = [name for name in GROUP_COLUMNS if any(row[name] is not None for row in described)]
    for name in shown:
        table.add_column(GROUP_COLUMNS[name][0], justify="right", no_wrap=True)
    for group, row in zip(groups, described, strict=True):
        cells = (_format(row[name], GROUP_COLUMNS[name][1]) for name in shown)
        table.add_row(Text(group.value), *map(Text, cells))
    return table


def list_notes(groups: Sequence[Group]) -> list[str]:
    """Lists the best run of each group, and in what its runs differ beside the setting and seed.

    The entries of their summaries come first, then the settings of their configurations.
    """
    folders = [name for group in groups for name, _ in group.runs]
    short = dict(zip(folders, shorten_names(folders), strict=True))
    lines = []
    for group in groups:
        notes = [] if group.best is None else [f"best by validation is {short[group.best[0]]}"]
        others = [COLUMNS[key][0] for key in _list_differing(group.runs) if key in UNSET_BY_USERS]
        if others := [*others, *group.differing]:
            more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
            named = ", ".join(others[:MOST_NAMES])
            notes.append(f"its runs also differ in {named}{more}")
        lines += [f"{group.value}: {'; '.join(notes)}"] if notes else []
    return lines


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


def describe_runs(runs: Runs) -> Iterator[Page]:
    """Yields the pages of runs: their algorithm, results and differing settings."""
    shown = {"algorithm", *_list_differing(runs)}
    for name, summary in _shorten_names(runs):
        settings = {key: str(summary[key]) for key in SETTINGS if key in shown and key in summary}
        figures = {f"final/{key}": summary[key] for key in FIGURES if summary.get(key) is not None}
        yield name.replace("..", "_"), settings, figures


def describe_groups(setting: str, groups: Sequence[Group]) -> Iterator[Page]:
    """Yields the pages of groups, in their order."""
    for number, group in enumerate(groups):
        figures = {
            f"group/{key}": value
            for key, value in group.describe().items()
            if isinstance(value, int | float)
        }
        name = re.sub(r"[^\w.-]+", "_", group.value)[:LONGEST]
        yield f"{number}_{name}", {setting: group.value}, figures


def write_hyperparameters(pages: Iterable[Page], folder: Path) -> None:
    """Writes a TensorBoard log for each page into a folder of its name; earlier ones go."""
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    for before in [*folder.rglob(f"events.out.tfevents.*{PAGE}")]:
        before.unlink()
        if not any(before.parent.iterdir()):
            before.parent.rmdir()
    for name, settings, figures in pages:
        with SummaryWriter(str(folder / name), filename_suffix=PAGE) as writer:
            numbers = {key: float(value) for key, value in figures.items()}
            for part in hparams(settings, numbers):
                writer.file_writer.add_summary(part)
            for key, value in numbers.items():
                writer.add_scalar(key, value)


def _list_differing(runs: Runs) -> list[str]:
    return [key for key in SETTINGS if len({str(summary.get(key)) for _, summary in runs}) > 1]


def _format_entry(name: str, value: Any) -> str:
    return _format(value, COLUMNS[name][1])


def _format(value: Any, pattern: Callable[[Any], str]) -> str:
    if value is None:
        return UNSET
    try:
        return pattern(value)
    except (TypeError, ValueError):  # the summary was changed by hand
        return str(value)


def _sort_key(summary: Summary) -> float:
    score = Score.of(summary)
    value = summary.get(score.of_test)
    return -score.sign * value if isinstance(value, int | float) else math.inf
