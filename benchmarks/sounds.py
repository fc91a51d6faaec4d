"""Spoken digits: nets of at most 10,000 parameters, tested on other takes and on other speakers.

    pip install -e '.[onnx,sounds]'
    python benchmarks/sounds.py RECORDINGS FOLDER --results sounds.jsonl

RECORDINGS are those of the Free Spoken Digit Dataset, ``<digit>_<speaker>_<take>.wav``. Each row is
a run of the preset `sounds` in FOLDER: takes 0 to 4 as test, as is usual, with three seeds and
beside random nets within the same limits; and each speaker as test, whose voice neither training
nor validation has heard. Rows that are done are kept. Results: docs/benchmarks/data.md.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darts_lite import load_answer
from darts_lite.derivation.consensus import percentile_interval

TAKES = r"_[0-4]\.wav$"
"""The usual test set."""
CLASS_BY, GROUP_BY = "^([0-9])_", "^[0-9]_([a-z]+)_"
PROGRAM = """\
import sys, numpy as np, onnxruntime
net = onnxruntime.InferenceSession(sys.argv[1])
np.save(sys.argv[3], net.run(None, {"samples": np.load(sys.argv[2])})[0])
"""
"""Asks an ONNX file about samples, without torch."""


def list_rows(recordings: Path, seeds: Sequence[int], rivals: int) -> Iterator[dict[str, Any]]:
    """Yields name, seed and arguments of each run."""
    for seed in seeds:
        words = [f"--data.test_by={TAKES}"]
        if not seed and rivals:
            words += ["--run.control=random", f"--run.control_nets={rivals}"]
        yield {"test": "takes 0 to 4", "seed": seed, "words": words}
    for speaker in sorted({path.stem.split("_")[1] for path in recordings.glob("*.wav")}):
        words = [f"--data.test_by=_{speaker}_", f"--data.group_by={GROUP_BY}"]
        words.append("--data.validation_fraction=0.2")
        yield {"test": speaker, "seed": 0, "words": words}


def fit(recordings: Path, folder: Path, row: dict[str, Any]) -> Path:
    """Runs the preset; returns the run's folder."""
    name = f"{row['test'].replace(' ', '-')}-{row['seed']}"
    place = folder / "logs" / name / "version_0"
    given = ["--config=sounds", f"--data.dataset={recordings}", f"--data.class_by={CLASS_BY}"]
    given += [f"--seed_everything={row['seed']}", f"--run.folder={folder / 'logs'}"]
    given += [f"--run.name={name}", "--run.resume=auto"]
    command = [sys.executable, "-m", "darts_lite", "fit", *given, *row["words"]]
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (place / "seconds.txt").write_text(f"{time.monotonic() - begun:.0f}")
    return place


def compare_onnx(place: Path, recordings: Path) -> tuple[int, float]:
    """Exports a net and asks the file about the usual test set.

    Returns the number of recordings, and the largest difference of a probability from the net's.
    """
    export = [sys.executable, "-m", "darts_lite", "export", str(place / "net.ckpt"), "--to", "onnx"]
    subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
    net, about = load_answer(place / "net.ckpt")
    paths = sorted(path for path in recordings.glob("*.wav") if path.stem[-2:] in _ENDS)
    samples = torch.stack([about["preparation"].read(path).values for path in paths])
    given, answered = place / "samples.npy", place / "answers.npy"
    np.save(given, samples.numpy())
    words = [str(path) for path in (place / "net.onnx", given, answered)]
    subprocess.run([sys.executable, "-c", PROGRAM, *words], check=True)
    with torch.no_grad():
        expected = net(samples).numpy()
    return len(paths), float(np.abs(np.load(answered) - expected).max())


_ENDS = {f"_{take}" for take in range(5)}


def describe(place: Path, row: dict[str, Any], recordings: Path) -> dict[str, Any]:
    """Returns what a run has measured."""
    summary = json.loads((place / "summary.json").read_text())
    asked, apart = compare_onnx(place, recordings)
    return {
        "test": row["test"],
        "seed": row["seed"],
        "right": round(summary["test_accuracy"] * summary["test_images"]),
        "of": summary["test_images"],
        "random": summary.get("control_test_accuracies"),
        "architecture": summary["architecture"],
        "parameters": summary["params"],
        "multiply_adds": summary["macs"],
        "memory": summary["memory"],
        "search_seconds": summary["search_seconds"],
        "retrain_seconds": summary["retrain_seconds"],
        "all_seconds": float((place / "seconds.txt").read_text()),
        "onnx": {"recordings": asked, "difference": apart},
        "versions": summary["versions"],
    }


def print_row(found: dict[str, Any]) -> None:
    """Prints a row of the table, with the 95 % interval of the share of right answers."""
    percent = 100 * found["right"] / found["of"]
    low, high = percentile_interval(percent, found["of"])
    rivals = found["random"]
    cells = [
        found["test"],
        found["seed"],
        f"{percent:.2f} % ({low:.1f} to {high:.1f})",
        ", ".join(f"{100 * one:.2f}" for one in rivals) if rivals else "",
        f"{found['parameters']:,}",
        f"{found['multiply_adds']:,}",
        f"{found['memory']:,}",
        f"{found['search_seconds']:.0f}, {found['retrain_seconds']:.0f}",
        f"{found['onnx']['difference']:.0e} on {found['onnx']['recordings']}",
    ]
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def main(args: Sequence[str] | None = None) -> None:
    """Prints a row per run, and keeps it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rivals", type=int, default=5, help="random nets beside the first seed")
    options = parser.parse_args(args)
    recordings, folder = options.recordings.resolve(), options.folder.resolve()
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    done = {(row["test"], row["seed"]): row for row in map(json.loads, lines)}
    print("| test | seed | right | random nets | parameters | multiply-adds | memory | s | ONNX |")
    print("|", " | ".join(["---"] * 9), "|")
    for row in list_rows(recordings, options.seeds, options.rivals):
        if (found := done.get((row["test"], row["seed"]))) is None:
            found = describe(fit(recordings, folder, row), row, recordings)
            with options.results.open("a") as file:
                file.write(json.dumps(found) + "\n")
        print_row(found)


if __name__ == "__main__":
    main()
