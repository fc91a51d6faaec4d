"""`plot`: draws pictures of a run from its files."""

import argparse
from pathlib import Path
from typing import Any

from darts_lite.cli.compare import find_runs
from darts_lite.networks.kinds import read_architecture
from darts_lite.plots.architectures import draw_architecture, save
from darts_lite.plots.run_history import StageHistory, read_history
from darts_lite.plots.runs import animate, draw_costs, draw_curves, draw_film
from darts_lite.space.cost_tables import Images
from darts_lite.storage.atomic_files import make_folder
from darts_lite.storage.run_folder import STAGES, RunFolder
from darts_lite.storage.run_record import read_summary


def run(options: argparse.Namespace) -> None:
    """Draws the pictures."""
    first = Path(options.runs[0])
    if len(options.runs) > 1 or options.what == ["cost"]:
        if options.what not in (None, ["cost"]):
            raise ValueError("several runs are drawn by their cost only; give one run for the rest")
        figure = draw_costs(find_runs(options.runs))
        folder = make_folder(options.output or first, "--output")
        path = folder / f"cost.{options.format}"
        save(figure, path)
        print(path)
        return
    run_folder = RunFolder(first)
    if not any(path.exists() for path in (run_folder.config, run_folder.history("").parent)):
        raise FileNotFoundError(
            f"no run in {first}; give a folder that holds config.yaml, as logs/mnist/version_0"
        )
    names = options.what or _list_possible(run_folder)
    if not names:
        raise ValueError(f"{first} has nothing to draw yet; let the run go on first")
    folder = make_folder(options.output or first, "--output")
    for name in names:
        ending = "gif" if name == "animation" else options.format
        path = folder / f"{name}.{ending}"
        _draw(name, run_folder, path)
        print(path)


def _list_possible(folder: RunFolder) -> list[str]:
    """Lists the pictures that can be drawn from the files of a run."""
    shares = bool(_read_stages(folder)["search"].with_shares)
    possible = {
        "cells": folder.architecture.is_file(),
        "alphas": shares,
        "animation": shares,
        "curves": any(len(stage.moments) > 1 for stage in _read_stages(folder).values()),
    }
    return [name for name, is_possible in possible.items() if is_possible]


def _read_stages(folder: RunFolder) -> dict[str, StageHistory]:
    return {stage: read_history(folder.history(stage)) for stage in STAGES}


def _read_images(folder: RunFolder) -> Images | None:
    """Returns what images a run was on, as far as its summary tells all of it."""
    summary = read_summary(folder)
    seen, accuracies = summary.get("preparation"), summary.get("class_accuracies")
    if not (isinstance(seen, dict) and isinstance(accuracies, list)):
        return None
    known: list[Any] = [seen.get("channels"), len(accuracies), seen.get("size")]
    return Images(*known) if all(type(each) is int for each in known) else None


def _draw(what: str, folder: RunFolder, path: Path) -> None:
    match what:
        case "cells":
            found = read_architecture(folder.architecture)
            save(draw_architecture(found, images=_read_images(folder)), path)
        case "alphas":
            save(draw_film(_read_stages(folder)["search"]), path)
        case "animation":
            animate(_read_stages(folder)["search"], path)
        case "curves":
            moments = {name: stage.moments for name, stage in _read_stages(folder).items()}
            save(draw_curves(moments), path)
        case "cost":
            save(draw_costs(find_runs([str(folder)])), path)
