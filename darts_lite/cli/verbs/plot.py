"""`plot`: draws pictures of a run from its files."""

import argparse
from pathlib import Path

from darts_lite.cli.verbs.compare import find_runs
from darts_lite.networks.kinds import read_architecture
from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.files import save
from darts_lite.plots.labels import tell_score
from darts_lite.plots.runs import draw_costs, draw_curves
from darts_lite.plots.shares import animate, draw_film
from darts_lite.reports.run_files import RunFiles
from darts_lite.storage.atomic_files import make_folder
from darts_lite.storage.run_record import Score


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
    files = RunFiles(first)
    names = options.what or _list_possible(files)
    if not names:
        raise ValueError(f"{first} has nothing to draw yet; let the run go on first")
    folder = make_folder(options.output or first, "--output")
    for name in names:
        ending = "gif" if name == "animation" else options.format
        path = folder / f"{name}.{ending}"
        _draw(name, files, path)
        print(path)


def _list_possible(files: RunFiles) -> list[str]:
    """Lists the pictures that can be drawn from the files of a run."""
    shares = bool(files.stages["search"].with_shares)
    possible = {
        "cells": files.folder.architecture.is_file(),
        "alphas": shares,
        "animation": shares,
        "curves": any(len(stage.moments) > 1 for stage in files.stages.values()),
    }
    return [name for name, is_possible in possible.items() if is_possible]


def _draw(what: str, files: RunFiles, path: Path) -> None:
    accuracy, score = files.summary.get("test_accuracy"), Score.of(files.summary)
    reached = files.summary.get(score.of_test)
    match what:
        case "cells":
            found = read_architecture(files.folder.architecture)
            captions = [files.folder.title]
            captions += [] if reached is None else [tell_score(score, reached)]
            save(draw_architecture(found, files.images, captions), path)
        case "alphas":
            save(draw_film(files.stages["search"]), path)
        case "animation":
            animate(files.stages["search"], path)
        case "curves":
            moments = {name: stage.moments for name, stage in files.stages.items()}
            save(draw_curves(moments, accuracy), path)
        case "cost":
            save(draw_costs(find_runs([str(files.folder)])), path)
