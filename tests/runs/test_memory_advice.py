"""Too little memory, for real: in processes that may use no more than so much."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from darts_lite.runs.memory_advice import find_largest_fit

LIMITED = """
import resource, sys
from pathlib import Path
import torch
from darts_lite.cli.lightning_cli import main
torch.set_num_threads(1)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main(sys.argv[2:])
"""
RETURNED = os.environ | {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""Lets the C library give back what is freed at once, so that a limit means the same each time."""
SPACE = {"candidates": ["none", "skip_connect", "conv_3x3"], "nodes": 1, "channels": 16}
SMALL_BATCHES = {"search_batch_size": 20, "batch_size": 20, "evaluation_batch_size": 20}
SEARCH = {
    "class_path": "darts_lite.ArchitectureSearch",
    "init_args": {
        "space": {
            "class_path": "darts_lite.SearchSpace",
            "init_args": SPACE | {"cells": 2, "reductions": [1], "stem": "conv3x3"},
        }
    },
}
RETRAINING = {
    "class_path": "darts_lite.Retraining",
    "init_args": {"architecture": "DARTS_V2", "channels": 16, "cells": 3},
}


def limited(
    megabytes: int, model: dict[str, Any], data: dict[str, Any], root: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """A training of one step with so much memory beyond what the program itself takes."""
    trainer = {"accelerator": "cpu", "limit_train_batches": 1, "limit_val_batches": 1}
    config = {
        "run": {"folder": str(folder)},
        "trainer": {"max_epochs": 1, "limit_test_batches": 1, **trainer},
        "model": model,
        "data": {"root": root, **SMALL_BATCHES, **data},
        "retraining": None,
    }
    command = [sys.executable, "-c", LIMITED, str(megabytes), "fit"]
    command += [f"--config={yaml.safe_dump(config)}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=RETURNED)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("setting", "model"),
    [
        ("search_batch_size", SEARCH),
        ("batch_size", RETRAINING),
        ("evaluation_batch_size", RETRAINING),
    ],
)
def test_a_batch_that_fits_is_named_and_fits(
    setting: str, model: dict[str, Any], digits_root: str, tmp_path: Path
) -> None:
    megabytes = 500 if setting == "evaluation_batch_size" else 900
    done = limited(megabytes, model, {setting: 100_000}, digits_root, tmp_path)
    assert done.returncode == 2, done.stderr
    form = rf"error: cpu has too little memory for (\d+) images at once; set data.{setting} to "
    found = re.fullmatch(form + r"(\d+), which was tried and fits\n", done.stderr)
    assert found, done.stderr
    size, fits = map(int, found.groups())
    assert 1 <= fits < size
    again = limited(megabytes, model, {setting: fits}, digits_root, tmp_path)
    assert again.returncode == 0, again.stderr


def test_sizes_are_halved_until_one_fits() -> None:
    tried = []

    def attempt(size: int) -> None:
        tried.append(size)
        if size > 12:
            torch.empty(2**60, dtype=torch.uint8)  # nobody has an exabyte

    assert find_largest_fit(100, attempt) == 12
    assert tried == [50, 25, 12]
    assert find_largest_fit(1, attempt) is None

    def broken(size: int) -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        find_largest_fit(2, broken)
