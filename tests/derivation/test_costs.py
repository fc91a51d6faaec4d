"""Costs of architectures, against those of their nets."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import SMALL, quiet_trainer
from torch import nn

from darts_lite.cli.verbs.derive import derive_architecture
from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.costs import (
    count_pass,
    flash,
    load_or_measure_costs,
    measure_costs,
    multiply_adds,
)
from darts_lite.derivation.rules import derive
from darts_lite.networks.net import Net
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.space.cost_tables import CostTable, Images
from darts_lite.space.layers.chain import Chain
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.space.protocol import Space
from darts_lite.storage.checkpoints import Checkpoint

DATA = Images(1, 10, 28)


@pytest.mark.parametrize("space", [SMALL, LayerSpace()])
def test_one_pass_is_counted_without_computing(space: Space) -> None:
    found, random = space.first_architecture(), torch.get_rng_state()
    once = count_pass(found, DATA)
    assert torch.equal(random, torch.get_rng_state())
    net = Net(found, 1, 10)
    assert once.parameters == sum(weights.numel() for weights in net.parameters())
    assert once.multiply_adds == multiply_adds(net, torch.zeros(1, 1, 28, 28))
    if isinstance(found, Chain):
        assert once.multiply_adds == sum(step.multiply_adds for step in found.steps(DATA))


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "costs.json"
    measured = load_or_measure_costs(path, SMALL, "multiply_adds", DATA, device="meta")
    counted = measure_costs(SMALL, "multiply_adds", DATA)
    read = load_or_measure_costs(path, SMALL, "multiply_adds", DATA)
    assert isinstance(counted, CostTable)
    for table in (measured, read):
        assert isinstance(table, CostTable)
        assert table.rest == counted.rest
        for kind, rows in counted.options.items():
            assert torch.equal(table.options[kind], rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "is not a table of costs"),
        ({"cost": "latency"}, "a table for another cost"),
        ({"space": {}}, "a table for another space"),
        ({"images": [3, 28, 28]}, "a table for another images"),
        ({"edges": {"normal": [[1.0]]}}, "the table of costs is incomplete"),
        ({"edges": {"normal": [[1.0]], "reduce": []}}, "must be 5 lists of 4 numbers"),
        ({"edges": {"normal": [["1"] * 4] * 5, "reduce": [[1] * 4] * 5}}, "of at least 0"),
        ({"edges": {"normal": [[-1] * 4] * 5, "reduce": [[1] * 4] * 5}}, "of at least 0"),
        ({"edges": 3}, "the table of costs is incomplete"),
        ({"rest": None}, "the table of costs is incomplete"),
    ],
)
def test_what_does_not_fit_is_refused_and_left(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "costs.json"
    load_or_measure_costs(path, SMALL, "parameters", DATA, device="meta")
    changed = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(changed)
    with pytest.raises(ValueError, match=message):
        load_or_measure_costs(path, SMALL, "parameters", DATA)
    assert path.read_text() == changed


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\x00"])
def test_any_other_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a table of costs"):
        load_or_measure_costs(path, SMALL, "parameters", DATA)


def test_a_budget_of_latency_is_kept(tmp_path: Path) -> None:
    space = SearchSpace(
        ("skip_connect", "conv_1x1", "conv_3x3"), nodes=2, channels=4, cells=2, reductions=()
    )
    path = tmp_path / "latency.json"
    costs = load_or_measure_costs(path, space, "latency", DATA)
    assert isinstance(costs, CostTable)
    smallest = costs.rest + sum(
        sum(sorted(rows.min(dim=1).values.tolist())[:2])
        for rows in costs.options["normal"].split(list(space.edges_per_node))
    )
    shares = {"normal": torch.tensor([[0.1, 0.2, 0.7]]).repeat(5, 1)}
    everything = costs.of(space.architecture((0, 2, 2, 0, 2, 2)))
    for limit in (everything * 2, (smallest + everything) / 2, smallest * 1.0001):
        rule = WithinBudget(None, None, limit, str(path), 28, 1, 10)
        cells = rule(space, shares)
        assert len([edge for node in cells["normal"] for edge in node]) == 4
        assert costs.of(space.build(cells)) <= limit
    with pytest.raises(ValueError, match="no architecture of the space has at most"):
        WithinBudget(None, None, smallest * 0.9, str(path), 28, 1, 10)(space, shares)


def test_budgets_that_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="needs latency_table"):
        WithinBudget(latency=1.0)
    shares = {name: torch.ones(group.shape) for name, group in SMALL.groups.items()}
    for size, told in ((10**6, "two limits at most, got 3"), (None, "at most 1 para")):
        rule = WithinBudget(1, 1, None, None, 28, 1, 10, flash=size)
        with pytest.raises(ValueError, match=told):
            rule(SMALL, shares)


def test_a_device_has_several_limits() -> None:
    space = LayerSpace(placements=("stem 1",))
    images: dict[str, Any] = {"image_size": 28, "in_channels": 1, "num_classes": 10}
    torch.manual_seed(0)
    shares = {name: torch.rand(group.shape) for name, group in space.groups.items()}
    rule = WithinBudget(5000, 500_000, memory="4kB", flash="6 KiB", **images)
    found = derive(space, shares, {}, rule)
    assert isinstance(found, Chain) and rule.admits(space, found)
    steps = [*found.steps(Images(1, 10, 28))]
    assert max(step.values for step in steps) <= 4000
    assert sum(step.flash for step in steps) <= 6 * 1024
    assert WithinBudget(**rule.describe()["init_args"]) == rule
    with pytest.raises(ValueError, match="has at most 100 bytes of memory; its arch"):
        derive(space, shares, {}, WithinBudget(memory=100, **images))
    with pytest.raises(ValueError, match="cells have no costs 'memory'"):
        derive(SMALL, shares, {}, WithinBudget(memory=100, **images))


def test_a_search_keeps_its_table_and_not_where_it_lies(digits: ImageData, tmp_path: Path) -> None:
    table = tmp_path / "latency.json"
    search = ArchitectureSearch(SMALL, derivation=WithinBudget(None, None, 1e6, str(table)))
    run = quiet_trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "last.ckpt")
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)["model"]["init_args"]["derivation"]
    assert kept["init_args"]["latency_table"] == json.loads(table.read_text())
    found = derive_architecture(Checkpoint.read(tmp_path / "last.ckpt"))
    written = table.read_text()
    table.unlink()
    assert derive_architecture(Checkpoint.read(tmp_path / "last.ckpt")) == found
    assert not table.exists() and str(tmp_path) not in json.dumps(found.to_dict())
    begun = Checkpoint.read(tmp_path / "last.ckpt").content
    search.derivation = WithinBudget(None, None, 1e6, str(table))
    search.on_load_checkpoint(begun)  # as where a run goes on
    assert search.derivation.describe()["init_args"]["latency_table"] == json.loads(written)


def test_jobs_that_begin_together_measure_one_table(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "latency.json"
    with ThreadPoolExecutor(2) as jobs:
        made = [jobs.submit(load_or_measure_costs, path, SMALL, "latency", DATA) for _ in range(2)]
    (first, second) = (each.result().to_dict() for each in made)
    assert first == second == {n: json.loads(path.read_text())[n] for n in first}


def test_flash_counts_all_weights() -> None:
    x = torch.zeros(1, 2, 5, 5)
    assert flash(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(4, 5)), x) == (
        2 * 3 * 9 + 8 * 3 + 4 * 5 + 8 * 5
    )
    assert flash(nn.ConvTranspose2d(2, 3, 3), x) == 2 * 3 * 9 + 8 * 2
    assert flash(nn.LayerNorm(6), x) == 4 * 12
    attention = nn.MultiheadAttention(8, 2)
    assert flash(attention, x) > sum(weight.numel() for weight in attention.parameters())
