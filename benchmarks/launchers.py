"""Many trainings at once: seconds with each launcher, and runs that are killed again and again.

A run of several searches and rivals on embedded digits is made with each launcher, and its nets are
compared bit by bit. With ``--kills`` processes of further runs are killed at random moments, a job
or the one that launches them, and with Ray one of two nodes; the same command then goes on.

    python benchmarks/launchers.py --folder FOLDER
    python benchmarks/launchers.py --folder FOLDER --launchers local ray --kills 10

Results: docs/benchmarks/runs.md.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from search_step import table

SPACE = {
    "candidates": ["none", "skip_connect", "max_pool_3x3", "conv_3x3"],
    "nodes": 2,
    "channels": 8,
    "cells": 3,
    "reductions": [1, 2],
    "stem": "conv3x3_stride2",
}
CHAINS = {"stages": [2, 1], "widths": [4, 6, 8], "placements": ["stem 1", "stem 2"]}
SEARCHES: dict[str, dict[str, Any]] = {
    "cells": {
        "class_path": "darts_lite.ArchitectureSearch",
        "init_args": {"space": {"class_path": "darts_lite.SearchSpace", "init_args": SPACE}},
    },
    "play-off": {
        "class_path": "darts_lite.PlayOff",
        "init_args": {
            "space": {"class_path": "darts_lite.LayerSpace", "init_args": CHAINS},
            "by_hand": 8,
            "at_random": 2,
            "children": 4,
            "finalists": 2,
        },
    },
}


def configure(search: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the settings of a run."""
    trust = {"seeds": options.seeds, "control": "random", "control_nets": options.rivals}
    return {
        "seed_everything": 3,
        "run": {"name": "many", "folder": str(folder), "resume": "auto", **trust},
        "trainer": {"max_epochs": options.epochs, "accelerator": "cpu"},
        "model": SEARCHES[search],
        "retraining": {"max_epochs": options.epochs},
        "data": {"search_batch_size": 64},
    }


def start(config: dict[str, Any], launcher: str, address: str | None) -> "subprocess.Popen[bytes]":
    """Starts the command that makes, or goes on with, a run."""
    folder = Path(config["run"]["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", "--config", str(folder / "config.yaml"), f"--run.launcher={launcher}"]
    words += [f"--run.address={address}"] if address is not None and launcher == "ray" else []
    with (folder / "log.txt").open("ab") as log:
        command = [sys.executable, "-m", "darts_lite", *words]
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def finish(config: dict[str, Any], launcher: str, address: str | None) -> float:
    """Makes a run to its end; returns seconds."""
    begun = time.monotonic()
    process = start(config, launcher, address)
    if process.wait() != 0:
        raise SystemExit((Path(config["run"]["folder"]) / "log.txt").read_text()[-2000:])
    return time.monotonic() - begun


def read_states(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Returns the states of all searches and nets of a run, by file."""
    paths = [*folder.rglob("net.ckpt"), *folder.rglob("checkpoints/last.ckpt")]
    return {
        str(path.relative_to(folder)): torch.load(path, weights_only=True)["state_dict"]
        for path in paths
    }


def are_same(first: Path, second: Path) -> bool:
    """Returns whether two runs have the same nets, bit by bit, and the same figures."""
    states = read_states(first), read_states(second)
    told = [
        json.loads((each / "many" / "version_0" / "summary.json").read_text())
        for each in (first, second)
    ]
    names = ("architecture", "test_accuracy", "control_test_accuracies", "agreement")
    return (
        states[0].keys() == states[1].keys()
        and all(told[0][name] == told[1][name] for name in names)
        and all(
            torch.equal(value, states[1][name][key])
            for name, state in states[0].items()
            for key, value in state.items()
        )
    )


class TwoNodes:
    """A Ray cluster of two nodes on this machine."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        self.second: Any = self.cluster.add_node(num_cpus=1)

    def kill_node(self) -> None:
        """Kills the second node, and adds another one."""
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = self.cluster.add_node(num_cpus=1)


def list_jobs(folder: Path) -> list[int]:
    """Returns the processes of the jobs of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"part" in words and any(word.startswith(str(folder).encode()) for word in words):
            found.append(int(path.parent.name))
    return found


def kill_at_random(
    config: dict[str, Any],
    launcher: str,
    nodes: TwoNodes | None,
    kills: int,
    length: float,
    dice: random.Random,
) -> Counter[str]:
    """Kills parts of a run again and again, until it ends by itself or all kills are made."""
    folder, done = Path(config["run"]["folder"]), Counter[str]()
    address = None if nodes is None else nodes.cluster.address
    process = start(config, launcher, address)
    while sum(done.values()) < kills:
        time.sleep(dice.uniform(2, length / 3))
        if process.poll() is not None:
            break
        target = dice.choice(["job", "driver", "node"] if launcher == "ray" else ["job", "driver"])
        if target == "driver":
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start(config, launcher, address)
        elif target == "node" and nodes is not None:
            nodes.kill_node()
        elif jobs := list_jobs(folder):
            os.kill(dice.choice(jobs), signal.SIGKILL)
        else:
            continue
        done[target] += 1
    if process.wait() != 0:
        finish(config, launcher, address)
    return done


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints seconds with each launcher, and what kills have changed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="of the runs; emptied")
    parser.add_argument("--launchers", nargs="+", default=["here", "local"])
    parser.add_argument("--searches", nargs="+", choices=[*SEARCHES], default=[*SEARCHES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rivals", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="of each search and training")
    parser.add_argument("--kills", type=int, default=0, help="of each launcher")
    options = parser.parse_args(arguments)
    nodes = TwoNodes() if "ray" in options.launchers else None
    address = None if nodes is None else nodes.cluster.address
    rows, dice = [], random.Random(0)
    for search in options.searches:
        first: Path | None = None
        for launcher in options.launchers:
            folder = options.folder / f"{search}, {launcher}"
            shutil.rmtree(folder, ignore_errors=True)
            config = configure(search, folder, options)
            seconds = finish(config, launcher, address)
            first = first or folder
            same = "-" if folder == first else str(are_same(first, folder))
            row = [search, launcher, f"{seconds:.0f}", same]
            killed, all_same = Counter[str](), True
            while sum(killed.values()) < options.kills and launcher != "here":
                again = options.folder / f"{search}, {launcher}, killed"
                shutil.rmtree(again, ignore_errors=True)
                config = configure(search, again, options)
                left = options.kills - sum(killed.values())
                killed += kill_at_random(config, launcher, nodes, left, seconds, dice)
                all_same &= are_same(first, again)
            told = ", ".join(f"{count} {name}" for name, count in killed.items())
            rows.append([*row, f"{told}: {'same' if all_same else 'OTHER'}" if told else "-"])
            print(rows[-1], file=sys.stderr, flush=True)
    print(table(["search", "launcher", "seconds", "same bits", "kills"], rows))


if __name__ == "__main__":
    main()
