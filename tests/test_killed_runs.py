"""Runs that are killed again and again end as if nothing had happened."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
import yaml
from run_helpers import QUICK
from sound_helpers import write_sounds

from darts_lite.cli.lightning_cli import main

CONFIG: dict[str, Any] = QUICK | {
    "seed_everything": 5,
    "run": {"name": "killed", "resume": "auto", "save_every_steps": 3},
    "model": QUICK["model"]
    | {
        "init_args": QUICK["model"]["init_args"]
        | {"relaxation": {"class_path": "darts_lite.Concrete"}}
    },
    "retraining": QUICK["retraining"] | {"max_epochs": 3, "schedule": "one_cycle"},
    "data": QUICK["data"]
    | {"search_batch_size": 50, "batch_size": 60, "evaluation_batch_size": 100},
}
CHAINS = {"stages": [2, 1], "widths": [4, 8], "placements": ["stem 1", "stem 2"]}
PLAY_OFF = CONFIG | {
    "model": {
        "class_path": "darts_lite.PlayOff",
        "init_args": {
            "space": {"class_path": "darts_lite.LayerSpace", "init_args": CHAINS},
            "by_hand": 4,
            "at_random": 1,
            "children": 2,
            "finalists": 2,
        },
    },
    "budget": {"parameters": 800, "memory": "4kB"},
    "retraining": {"max_epochs": 3, "schedule": "one_cycle"},
}
OWN = CONFIG | {
    "trainer": QUICK["trainer"]
    | {"logger": False},  # the drawings of the first one's search suffice
    "model": QUICK["model"] | {"init_args": {"space": "own_networks.MyNet"}},
    "budget": {"parameters": 600},
    "retraining": {"max_epochs": 3, "schedule": "one_cycle"},
}
SOUNDS = PLAY_OFF | {
    "data": {
        "class_path": "darts_lite.SoundData",
        "init_args": {
            "dataset": "",  # written by the test
            "class_by": r"^(\d)_",
            "group_by": r"_(speaker\d)_",
            "search_batch_size": 10,
            "search_batches_per_epoch": 8,
            "batch_size": 10,
            "augmentation": {
                "class_path": "darts_lite.SoundAugmentation",
                "init_args": {"shift": 0.1, "speed": 0.1, "noise": 0.1, "gain": 3.0, "bands": 2},
            },
        },
    }
}
TARGETS = ["search"] * 3 + ["retraining", "test", "writing"]
"""Where the kills of one test fall."""
KILLS_PER_RUN = 6


class Run:
    """A run in a process of its own, which is looked at through its files."""

    def __init__(self, folder: Path, data: str, settings: dict[str, Any]) -> None:
        """``data`` is an argument that tells where they lie."""
        folder.mkdir(exist_ok=True)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(settings))
        self.arguments = ["fit", "--config", str(config), data]
        self.arguments += ["--run.folder", str(folder / "logs")]
        self.directory = folder / "logs" / "killed" / "version_0"
        self.log = folder / "log"

    @property
    def stage(self) -> str:
        """What the run is at now."""
        try:
            summary = json.loads((self.directory / "summary.json").read_text())
        except (OSError, ValueError):
            return "beginning"
        if summary["finished"]:
            return "finished"
        done = summary["stages"]
        return "test" if "retraining" in done else "retraining" if "search" in done else "search"

    def at(self, stage: str) -> bool:
        """Whether it is at this stage now."""
        return self.stage == stage

    @property
    def writing(self) -> bool:
        """Whether a checkpoint is being written, or was when the run was killed."""
        return any(self.directory.glob("**/.*.ckpt.*.part"))

    def kill(self, when: Callable[[], bool]) -> bool:
        """Starts the run, and kills it when it is time; False if it ended before."""
        process = forked.start(main, self.arguments, self.log)
        while process.is_alive():
            if when():
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                return process.exitcode == -signal.SIGKILL
            time.sleep(0.0002)
        assert process.exitcode == 0, self.log.read_text()
        return False

    def result(self) -> dict[str, Any]:
        """All that must not depend on interruptions."""
        summary = json.loads((self.directory / "summary.json").read_text())
        names = ("test_accuracy", "test_loss", "validation_accuracy", "search_validation_accuracy")
        return {
            "summary": {name: summary.get(name) for name in (*names, "architecture", "drift")},
            "architecture": (self.directory / "architecture.json").read_text(),
            **{
                name: torch.load(self.directory / name, weights_only=True)["state_dict"]
                for name in ("checkpoints/last.ckpt", "net.ckpt")
            },
        }


def after(delay: float, condition: Callable[[], bool]) -> Callable[[], bool]:
    """True when a condition has held for some seconds."""
    since: list[float] = []

    def due() -> bool:
        if not condition():
            return False
        since.append(time.monotonic())
        return time.monotonic() - since[0] >= delay

    return due


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["summary"] == expected["summary"]
    assert found["architecture"] == expected["architecture"]
    for name in ("checkpoints/last.ckpt", "net.ckpt"):
        assert found[name].keys() == expected[name].keys()
        for key, value in expected[name].items():
            assert torch.equal(found[name][key], value), f"{name}: {key}"


@pytest.mark.slow
@pytest.mark.parametrize("settings", [CONFIG, OWN, SOUNDS])
def test_kills_at_any_moment_change_nothing(
    settings: dict[str, Any], digits_root: str, tmp_path: Path
) -> None:
    data = f"--data.root={digits_root}"
    if settings is SOUNDS:
        write_sounds(tmp_path / "sounds", 120)
        data = f"--data.dataset={tmp_path / 'sounds'}"
    whole = Run(tmp_path / "whole", data, settings)
    start = time.monotonic()
    assert not whole.kill(lambda: False)
    length = time.monotonic() - start
    expected = whole.result()
    dice = random.Random(0)
    targets = list(TARGETS)
    dice.shuffle(targets)
    done: Counter[str] = Counter()
    runs = 0
    while targets:
        runs += 1
        run = Run(tmp_path / str(runs), data, settings)
        stages = ("search", "retraining", "test")
        wave = sorted(targets[:KILLS_PER_RUN], key=lambda t: stages.index(t) if t in stages else 0)
        for target in wave:
            if target == "writing":
                hit = run.kill(partial(getattr, run, "writing")) and run.writing
            else:
                delay = dice.uniform(0, 0.15 if target == "test" else length / 4)
                hit = run.kill(after(delay, partial(run.at, target))) and run.at(target)
            if hit:
                done[target] += 1
                targets.remove(target)
            if run.stage == "finished":
                break
        if run.stage != "finished":
            assert not run.kill(lambda: False)
        assert_same(run.result(), expected)
        assert not list(run.directory.glob("**/.*.part"))
    print(f"{sum(done.values())} kills in {runs} runs of {length:.0f} s each: {dict(done)}")
    assert done == Counter(TARGETS)
