"""`plot`: the pictures of a run, from its files alone."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from darts_lite.cli.compare import find_runs
from darts_lite.plots.cells import draw_architecture, save
from darts_lite.plots.runs import animate, draw_costs, draw_curves, draw_film
from darts_lite.space.architecture import Architecture
from darts_lite.storage.atomic_files import made_folder
from darts_lite.storage.run_history import FOLDER, Told, read_history

STAGES = ("search", "retraining")
Draw = Callable[[Path, Path], None]


def run(options: argparse.Namespace) -> None:
    """Writes the pictures that are asked for.

    Raises:
        FileNotFoundError: if a folder holds no run.
        ValueError: if there is nothing to draw.
    """
    first = Path(options.runs[0])
    if len(options.runs) > 1 or options.what == ["cost"]:
        if options.what not in (None, ["cost"]):
            raise ValueError("several runs are drawn by their cost only; give one run for the rest")
        figure = draw_costs(find_runs(options.runs))
        folder = made_folder(options.output or first, "--output")
        path = folder / f"cost.{options.format}"
        save(figure, path)
        print(path)
        return
    if not any((first / name).exists() for name in ("config.yaml", FOLDER)):
        raise FileNotFoundError(
            f"no run in {first}; give its folder, as logs/mnist/version_0, which holds config.yaml"
        )
    names = options.what or _possible(first)
    if not names:
        raise ValueError(f"{first} has nothing to draw yet; let the run go on first")
    folder = made_folder(options.output or first, "--output")
    for name in names:
        ending = "gif" if name == "animation" else options.format
        path = folder / f"{name}.{ending}"
        DRAWINGS[name](first, path)
        print(path)


def _possible(directory: Path) -> list[str]:
    """What the files of a run suffice for."""
    shares = bool(_search(directory).with_shares)
    known = {
        "cells": (directory / "architecture.json").is_file(),
        "alphas": shares,
        "animation": shares,
        "curves": any(len(told.moments) > 1 for told in _stages(directory).values()),
    }
    return [name for name, there in known.items() if there]


def _stages(directory: Path) -> dict[str, Told]:
    return {stage: read_history(directory / FOLDER / f"{stage}.json") for stage in STAGES}


def _search(directory: Path) -> Told:
    return _stages(directory)["search"]


def _cells(directory: Path, path: Path) -> None:
    save(draw_architecture(Architecture.load(directory / "architecture.json")), path)


def _curves(directory: Path, path: Path) -> None:
    save(draw_curves({stage: told.moments for stage, told in _stages(directory).items()}), path)


def _alphas(directory: Path, path: Path) -> None:
    save(draw_film(_search(directory)), path)


def _animation(directory: Path, path: Path) -> None:
    animate(_search(directory), path)


def _cost(directory: Path, path: Path) -> None:
    save(draw_costs(find_runs([str(directory)])), path)


DRAWINGS: Mapping[str, Draw] = {
    "cells": _cells,
    "alphas": _alphas,
    "animation": _animation,
    "curves": _curves,
    "cost": _cost,
}
