"""Signals of the archives that aeon ships: what is found, random nets, and linear models.

    pip install --no-deps aeon && pip install scikit-learn
    python benchmarks/signals.py FOLDER --seeds 0 1 2

Writes the sets as npz files to FOLDER, runs `fit --config signals` on each, and prints a row per
run: the test accuracy of what is found; with the first seed that of five random nets within the
same budget, trained alike; and that of two linear models of the same rows, standardised, whose
strength of regularisation is chosen by cross-validation in the training set. A run that is done is
kept. Results: docs/benchmarks/data.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_lite.data.signals.signal_files import fit_length
from darts_lite.data.signals.signal_table import read_table

SETS = ("OSULeaf", "JapaneseVowels", "BasicMotions", "ItalyPowerDemand")


def read_series(path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Returns rows ``(N, C, T)``, NaN behind their ends, and labels of a ``.ts`` file."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    begin = [line.lower() for line in lines].index("@data") + 1
    split = [line.split(":") for line in lines[begin:] if line]
    series = [[np.array(one.split(","), np.float32) for one in line[:-1]] for line in split]
    longest = max(len(one) for row in series for one in row)
    rows = np.full((len(series), len(series[0]), longest), np.nan, np.float32)
    for place, row in enumerate(series):
        for channel, one in enumerate(row):
            rows[place, channel, : len(one)] = one
    return rows, [line[-1] for line in split]


def write_set(name: str, folder: Path) -> Path:
    """Writes a set of aeon as an npz file, with its own test set."""
    spec = find_spec("aeon")  # found, and not imported: nothing that it needs is needed here
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("aeon is not installed: pip install --no-deps aeon")
    place = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / name
    arrays: dict[str, Any] = {}
    for part in ("train", "test"):
        arrays[f"{part}_x"], arrays[f"{part}_y"] = read_series(place / f"{name}_{part.upper()}.ts")
    path = folder / f"{name}.npz"
    np.savez_compressed(path, **arrays)
    return path


def fit(path: Path, seed: int, rivals: bool, more: Sequence[str]) -> Mapping[str, Any]:
    """Runs the preset, with random nets beside what it finds if wanted; returns the summary."""
    folder, name = path.parent / "logs", f"{path.stem}-{seed}"
    place = folder / name / "version_0"
    if not (place / "seconds.txt").exists():
        begun = time.monotonic()
        words = ["fit", "--config=signals", f"--data.dataset={path}", "--run.resume=auto"]
        words += [f"--run.folder={folder}", f"--run.name={name}", f"--seed_everything={seed}"]
        words += ["--run.control=random"] * rivals
        command = [sys.executable, "-m", "darts_lite", *words, *more]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
            _, status, used = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
        if run.returncode:
            raise subprocess.CalledProcessError(run.returncode, command)
        spent = used.ru_utime + used.ru_stime
        figures = f"{spent:.0f} {time.monotonic() - begun:.0f} {used.ru_maxrss / 1024:.0f}"
        (place / "seconds.txt").write_text(figures)
    told = (place / "seconds.txt").read_text().split()
    return json.loads((place / "summary.json").read_text()) | {"spent": told}


def fit_linear(path: Path) -> dict[str, float]:
    """Returns the test accuracy of linear models of all values of a row."""
    from sklearn.linear_model import LogisticRegressionCV, RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = read_table(path)
    rows = fit_length(table.rows, table.longest).reshape(len(table.rows), -1).astype(np.float64)
    labels, tested = np.array(table.labels), table.tested.numpy()
    strengths = np.logspace(-4, 4, 9)
    models = {
        "ridge": RidgeClassifierCV(strengths),
        "logistic": LogisticRegressionCV(
            scoring="accuracy",
            Cs=strengths,
            cv=3,
            max_iter=2000,
            l1_ratios=(0,),
            use_legacy_attributes=False,
        ),
    }
    found = {}
    for name, model in models.items():
        whole = make_pipeline(StandardScaler(), model).fit(rows[~tested], labels[~tested])
        found[name] = float(whole.score(rows[tested], labels[tested]))
    return found


def describe(summary: Mapping[str, Any], linear: Mapping[str, float]) -> dict[str, str]:
    """Returns a row of the table."""
    rivals = sorted(summary.get("control_test_accuracies") or [])
    cpu, wall, megabytes = summary["spent"]
    return {
        "set": Path(summary["dataset"]).stem,
        "seed": f"{summary['seed']}",
        "found": f"{100 * summary['test_accuracy']:.1f} %",
        "random nets": ", ".join(f"{100 * share:.1f}" for share in rivals),
        **{name: f"{100 * share:.1f} %" for name, share in linear.items()},
        "parameters": f"{summary['params']:,}",
        "multiply-adds": f"{summary['macs']:,}",
        "activations": f"{summary['memory']:,}",
        "memory": f"{megabytes} MiB",
        "search, training, all (s)": f"{summary['search_seconds']:.0f}, "
        f"{summary['retrain_seconds']:.0f}, {cpu} of processors in {wall}",
        "net": summary["architecture"],
    }


def main(args: Sequence[str] | None = None) -> None:
    """Prints a row per run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=[*SETS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given, more = parser.parse_known_args(args)
    given.folder.mkdir(parents=True, exist_ok=True)
    head = False
    for name in given.sets:
        path = write_set(name, given.folder)
        linear = fit_linear(path)
        for seed in given.seeds:
            row = describe(fit(path, seed, seed == given.seeds[0], more), linear)
            if not head:
                print("| " + " | ".join(row) + " |\n" + "| --- " * len(row) + "|")
                head = True
            print("| " + " | ".join(row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
