"""The comparison of nets and of recipes, on a small scale and real digits."""

import json
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import ablation
import forked
import mnist
import mnist_report
import mnist_rows
import numpy as np
import pytest
import skeletons
import torch
import trials
import yaml
from run_helpers import QUICK

from darts_lite.networks.net import Net
from darts_lite.space.cells.search_space import mnist_space
from darts_lite.space.protocol import AnyArchitecture


def size(architecture: AnyArchitecture) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Net(architecture, 1, 10).parameters())


@pytest.mark.slow
def test_random_nets_are_of_like_size_and_always_the_same() -> None:
    space = mnist_space(channels=32)
    drawn = mnist_rows.random_like(space, 28_000, 5)
    assert len(drawn) == 5 and drawn == mnist_rows.random_like(space, 28_000, 5)
    assert all(abs(size(each) / 28_000 - 1) <= mnist_rows.LIKE for each in drawn)
    with pytest.raises(ValueError, match="only 0 of [0-9]+ random nets have about 90000 weights"):
        mnist_rows.random_like(space, 90_000, 5)


def test_the_published_cells_come_as_near_as_channels_allow() -> None:
    space = mnist_space(channels=32)
    made = mnist_rows.published_like(space, 30_000)
    assert made.cells["normal"][3] == (("sep_conv_5x5", 4), ("dil_conv_5x5", 3))
    assert made.skeleton.reduction_cells == space.skeleton.reduction_cells
    other = [made.with_skeleton(made.skeleton.channels + step) for step in (-1, 1)]
    assert all(abs(size(each) - 30_000) >= abs(size(made) - 30_000) for each in other)


def line(net: str, seed: int, accuracy: float, images: int | None = None) -> dict[str, Any]:
    costs = {"params": 30_000, "macs": 2_000_000, "search_seconds": 40.0, "retrain_seconds": 90.0}
    about = {"wall_seconds": 140.0, "threads": 2, "date": "2026-11-25"}
    return {"net": net, "seed": seed, "images": images, "test_accuracy": accuracy} | costs | about


def test_the_found_net_is_ranked_by_seeds_it_shares_with_random_ones() -> None:
    lines = [line("found", 0, 0.99), line("found", 1, 0.98)]
    lines += [line("random 0", 0, 0.985), line("random 0", 1, 0.98)]
    lines += [line("random 1", 0, 0.995), line("random 1", 1, 0.98)]
    lines += [line("random 2", 1, 0.97)]
    told = mnist_report.rank(lines)
    assert "beat 67 % of 3 random ones" in told and "+0.333 points" in told
    assert "(least -0.250, largest +1.000)" in told
    assert mnist_report.rank(lines[:2]) == ""


def test_the_plot_shows_each_kind_of_net_in_each_panel() -> None:
    lines = [line("found", 0, 0.99), line("random 0", 0, 0.98), line("random 1", 0, 0.97)]
    lines.append(line("found", 0, 0.9, images=5000))
    figure = mnist_report.plot(lines)
    assert [len(panel.lines) for panel in figure.axes] == [2, 2, 2]
    assert np.size(figure.axes[0].lines[1].get_xdata()) == 2


@pytest.mark.slow
def test_rows_are_made_once_and_reported(
    digits_root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = deepcopy(QUICK)
    config["retraining"] = {"class_path": "darts_lite.Retraining", "init_args": {"max_epochs": 1}}
    config["trainer"] |= {"max_epochs": 1, "logger": False}
    data = {"search_batch_size": 100, "search_batches_per_epoch": 4, "batch_size": 450}
    config["data"] = {"class_path": "darts_lite.ImageData", "init_args": data}
    (tmp_path / "mnist_cells.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setattr(mnist_rows, "CONFIGS", tmp_path)
    monkeypatch.setattr(mnist_rows, "SMALL_EPOCHS", 2)
    monkeypatch.setattr(mnist_rows, "get_context", lambda kind: forked.copies())
    for module in (mnist, mnist_rows):
        monkeypatch.setattr(module, "RANDOM_NETS", 1)
    for module in (mnist, mnist_report):
        monkeypatch.setattr(module, "SMALL_IMAGES", 500)
    results, logs = tmp_path / "rows.jsonl", tmp_path / "logs"
    asked = ["--results", str(results), "--logs", str(logs), "--root", digits_root, "--seeds", "1"]
    with pytest.raises(ValueError, match="make the rows of found first"):
        mnist.main([*asked, "--nets", "random"])
    mnist.main([*asked, "--nets", "found", "random", "separable", "published"])
    mnist.main([*asked, "--nets", "found", "--sets", "5000"])
    rows = [json.loads(text) for text in results.read_text().splitlines()]
    assert [(row["net"], row["images"]) for row in rows] == [
        ("found", None),
        ("random 0", None),
        ("separable", None),
        ("published", None),
        ("found", 500),
    ]
    assert rows[0]["architecture"] == rows[4]["architecture"] != rows[1]["architecture"]
    assert rows[2]["params"] == 24_362
    summary = json.loads((logs / "found-500-0" / "version_0" / "summary.json").read_text())
    assert summary["train_images"] == 450 and summary["retrain_epochs"] == 2
    capsys.readouterr()
    mnist.main([*asked, "--nets", "found", "random", "--plot", str(tmp_path / "plot.png")])
    assert len(results.read_text().splitlines()) == 5
    told = capsys.readouterr().out
    assert "| published | " in told and "random ones (95 % interval" in told
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_recipes_are_compared_with_the_base_row_by_row(
    found_digits: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "recipe.jsonl"
    asked = ["--results", str(results), "--seeds", "1", "--epochs", "1", "--images", "400"]
    ablation.main([*asked, "--rows", "base", "mixup 0.1"])
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].startswith("| base | 1 | ") and rows[3].startswith("| mixup 0.1 | 1 | ")
    lines = trials.read(results)
    assert [each["recipe"]["mixup"] for each in lines] == [0.0, 0.1]
    for key, column in (("validation_accuracy", 4), ("validation_loss", 5)):
        gain = float(rows[3].split(" | ")[column - 1])
        scale = 100 if key == "validation_accuracy" else 1
        assert math.isclose(gain, scale * (lines[1][key] - lines[0][key]), abs_tol=6e-4)
    ablation.main([*asked, "--rows", "base", "mixup 0.1"])
    assert trials.read(results) == lines


def test_skeletons_are_compared_with_the_net_by_hand(
    found_digits: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = {name: net for name, net in skeletons.NETS.items() if "chain" in name}
    monkeypatch.setattr(skeletons, "NETS", chosen)
    results = tmp_path / "skeletons.jsonl"
    asked = ["--results", str(results), "--seeds", "1", "--epochs", "1", "--images", "400"]
    skeletons.main(asked)
    lines = trials.read(results)
    names = ["separable, by hand", *chosen]
    assert [each["name"] for each in lines] == names
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {name}" for name in names]


def test_a_preset_is_a_space_of_its_own() -> None:
    assert mnist_rows.retrained_space() == mnist_space(channels=32)
