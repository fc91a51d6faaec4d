"""Searches two tasks of docs/own_task.md beside random nets and linear models.

    python benchmarks/tasks.py
    python benchmarks/tasks.py --tasks my_rows --seeds 3

A row of the table is a search with its rivals: random nets that are trained alike. The linear
models are scikit-learn's, of the training items and those for validation. Results:
docs/benchmarks/data.md.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch
from quiet import silence
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import f1_score, r2_score
from sklearn.multioutput import MultiOutputClassifier

PAGE = Path(__file__).parents[1] / "docs" / "own_task.md"
MODULES = {"my_rows": ("my_rows", "Diabetes"), "my_labels": ("my_mosaics", "Mosaics")}
COLUMNS = (
    *("task", "seed", "found", "test", "parameters", "multiply-adds", "search, s", "training, s"),
    *("random nets", "beaten"),
)


def write_examples(folder: Path) -> None:
    """Writes the page's modules and settings."""
    for name, text in re.findall(r"```\w+\n# (\w+\.\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (folder / name).write_text(text)


def fit_linear(task: str) -> float:
    """Returns the test score of a linear model of the same items."""
    module, name = MODULES[task]
    data = getattr(import_module(module), name)()
    data.setup("fit")
    loaders = data.train_dataloader(), data.val_dataloader(), data.test_dataloader()
    parts = [[torch.cat(column) for column in zip(*loader, strict=True)] for loader in loaders]
    inputs, targets = (torch.cat(column) for column in zip(*parts[:2], strict=True))
    tested, wanted = parts[2][0].flatten(1).numpy(), parts[2][1].numpy()
    if task == "my_rows":
        model = LinearRegression().fit(inputs.flatten(1).numpy(), targets.numpy())
        return float(r2_score(wanted, model.predict(tested)))
    several = MultiOutputClassifier(LogisticRegression(max_iter=2000))
    several.fit(inputs.flatten(1).numpy(), targets.numpy())
    return float(f1_score(wanted, several.predict(tested), average="macro"))


def search(task: str, seed: int, rivals: int, folder: Path) -> str:
    """Runs a search with its rivals, and returns its row."""
    words = ["--config", "own_network", "--config", f"{task}.yaml", "--run.folder", str(folder)]
    words += ["--seed_everything", str(seed), "--run.name", f"{task}_{seed}"]
    words += ["--run.control", "random", "--run.control_nets", str(rivals)]
    command = [sys.executable, "-m", "darts_lite", "fit", *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    run = json.loads((folder / f"{task}_{seed}" / "version_0" / "summary.json").read_text())
    others = run["control_test_scores"]
    rivals_told = f"{statistics.mean(others):.3f} ({min(others):.3f} to {max(others):.3f})"
    cells = [
        *(task, str(seed), run["architecture"], f"{run['test_score']:.3f}"),
        *(f"{run['params']:,}", f"{run['macs']:,}"),
        *(f"{run['search_seconds']:.0f}", f"{run['retrain_seconds']:.0f}"),
        *(rivals_told, f"{run['control_percentile']:.0f} %"),
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each search, and the linear models."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=[*MODULES], choices=[*MODULES])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rivals", type=int, default=10)
    options = parser.parse_args(arguments)
    silence(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_examples(folder)
        sys.path.insert(0, place)
        paths = [place, str(PAGE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        print(f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, one thread")
        print(
            "| task | seed | found | test | parameters | multiply-adds | search, s | training, s |"
        )
        print("| random nets: mean (range) | beaten, % |")
        for task in options.tasks:
            print(f"{task}: a linear model reaches {fit_linear(task):.3f}", flush=True)
            for seed in range(options.seeds):
                print(search(task, seed, options.rivals, folder), flush=True)


if __name__ == "__main__":
    main()
