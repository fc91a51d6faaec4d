"""Every algorithm is an overlay over a preset, and overlays stack."""

import json
from pathlib import Path

import pytest
import yaml
from run_helpers import some_slow
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.cli.lightning_cli import main

FOLDER = Path(__file__).parents[1] / "configs" / "algorithms"
NAMES = {
    "beta_decay": "DARTS, Softmax, FirstOrder, BetaDecay",
    "budget": "DARTS, Softmax, FirstOrder, BetaDecay, ExpectedCost",
    "darts": "DARTS, Softmax, FirstOrder",
    "darts_minus": "DARTS, Softmax, FirstOrder, auxiliary_skip",
    "drnas": "DARTS, Dirichlet, FirstOrder, DirichletAnchor",
    "eigenvalue": "DARTS, Softmax, FirstOrder, BetaDecay",
    "fair_darts": "DARTS, Sigmoid, FirstOrder, ZeroOne",
    "gdas": "DARTS, GumbelMax, FirstOrder",
    "latency": "DARTS, Softmax, FirstOrder, BetaDecay, ExpectedCost",
    "local_search": "LocalSearch, SharedWeights",
    "oles": "DARTS, Softmax, FirstOrder, BetaDecay",
    "pc_darts": "DARTS, Softmax, FirstOrder, partial_channels 4, edge_weights True",
    "perturbation": "DARTS, Softmax, FirstOrder, BetaDecay",
    "random_search": "RandomSearch, SharedWeights",
    "second_order": "DARTS, Softmax, SecondOrder, BetaDecay",
    "skip_limit": "DARTS, Softmax, FirstOrder, BetaDecay",
    "snas": "DARTS, Concrete, FirstOrder",
    "spos": "Evolution, SharedWeights",
}
QUICK = [
    *("--trainer.accelerator", "cpu", "--retraining", "null"),
    *("--data.search_batches_per_epoch", "4", "--data.search_batch_size", "8"),
    *("--model.space.channels", "4", "--model.space.cells", "2"),
    *("--model.space.reductions", "[1]"),
]
SLOW_ENOUGH = ["--model.derivation.latency", "1000"]  # for any machine, however busy
EXTRA = {"latency": SLOW_ENOUGH}


def searched(folder: Path, root: str, *arguments: str) -> dict[str, object]:
    """The summary of a short search."""
    preset = str(FOLDER.parent / "mnist_cells.yaml")
    where = ["--data.root", root, "--run.folder", str(folder)]
    main(["fit", "--config", preset, *arguments, *QUICK, *where])
    return json.loads((folder / "mnist_cells" / "version_0" / "summary.json").read_text())


def test_each_overlay_has_a_name_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(NAMES)


FIRST = ["drnas", "pc_darts", "second_order", "spos"]
"""What the others name goes the way of one of these, or has a test of its own."""
OTHERS = [name for name in NAMES if name not in FIRST]


@pytest.mark.parametrize("overlay", some_slow(FIRST, OTHERS))
def test_an_overlay_searches_real_digits(
    overlay: str, digits_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    explores = "SharedWeights" in NAMES[overlay]
    extra, path = [*EXTRA.get(overlay, [])], FOLDER / f"{overlay}.yaml"
    extra += ["--trainer.logger", "false"]  # its drawings take half of the time
    summary = searched(tmp_path, digits_root, "--config", str(path), *extra)
    assert summary["algorithm"] == NAMES[overlay]
    assert summary["evaluations" if explores else "architecture_steps"] == 4  # of an epoch
    assert str(summary["architecture"]).startswith("|")
    source = path.read_text().splitlines()[0]
    assert source.startswith("# ") and "arXiv" in path.read_text()


@pytest.mark.slow
def test_overlays_stack(digits_root: str, tmp_path: Path) -> None:
    stacked = ["pc_darts", "oles", "eigenvalue", "skip_limit"]
    arguments = [word for name in stacked for word in ("--config", str(FOLDER / f"{name}.yaml"))]
    summary = searched(tmp_path, digits_root, *arguments, "--trainer.log_every_n_steps", "1")
    assert summary["algorithm"] == NAMES["pc_darts"]
    config = yaml.safe_load((tmp_path / "mnist_cells" / "version_0" / "config.yaml").read_text())
    names = [one["class_path"].split(".")[-1] for one in config["trainer"]["callbacks"]]
    assert names == ["OperationFreezing", "EigenvalueMonitor"]
    assert config["model"]["init_args"]["derivation"]["class_path"].endswith("SkipLimit")
    board = EventAccumulator(str(tmp_path / "mnist_cells" / "version_0")).Reload().Tags()["scalars"]
    assert {"search/frozen_operations", "alphas/eigenvalue"} <= set(board)
