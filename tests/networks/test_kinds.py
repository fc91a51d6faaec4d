"""A kind of space is found by its classes and files, and a second one fits everywhere."""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from run_helpers import QUICK, SMALL, Finished, files, one_line

from darts_lite.cli.main import main
from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.rules import SkipLimit, Strongest, derive
from darts_lite.networks.kinds import (
    KINDS,
    build_architecture,
    find_kind,
    read_architecture,
    read_space,
)
from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import ARCHITECTURES
from darts_lite.space.differences import describe_differences
from darts_lite.space.groups import Group
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.layers.layer_space import LayerSpace

SETTINGS: dict[str, Any] = {
    "stem_widths": (4,),
    "stages": (2,),
    "kernels": (1, 3, 5),
    "widths": (4,),
    "expansions": (0,),
    "placements": ("stem 1",),
    "links": ("off", "residual"),
}
LAYERS = LayerSpace(**SETTINGS)
"""A space of the second kind: two blocks, of which the second may be off."""


def test_a_kind_is_found_by_spaces_and_architectures() -> None:
    assert find_kind(SMALL) is find_kind(SMALL.first_architecture()) is KINDS["cells"]
    assert find_kind(LAYERS) is find_kind(LAYERS.first_architecture()) is KINDS["layers"]
    with pytest.raises(TypeError, match="int is no space"):
        find_kind(3)  # type: ignore[arg-type]


def test_files_tell_their_kind(tmp_path: Path) -> None:
    for space in (SMALL, LAYERS):
        assert read_space(json.loads(json.dumps(space.to_dict()))) == space
        assert read_space(space) is space
        found = space.first_architecture()
        found.save(tmp_path / "found.json")
        assert read_architecture(tmp_path / "found.json") == found
        assert read_architecture(json.loads(json.dumps(found.to_dict()))) == found
    assert read_architecture("DARTS_V2") is ARCHITECTURES["DARTS_V2"]
    with pytest.raises(ValueError) as caught:
        read_architecture({"kind": "tree"})
    one_line(caught, "unknown kind 'tree'", "['cells', 'layers', 'network']")
    with pytest.raises(ValueError) as caught:
        read_space({"class_path": "os.system", "init_args": {"command": "true"}})
    one_line(caught, "'os.system' is not one of", "LayerSpace")
    with pytest.raises(FileNotFoundError) as missing:
        read_architecture("DARTS_V3")
    one_line(missing, "'DARTS_V3'", "DARTS_V2")


def test_rules_derive_from_another_kind() -> None:
    shares = {name: torch.ones(group.shape) for name, group in LAYERS.groups.items()}
    shares["kernel"] = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    shares["link"] = torch.tensor([[0.4, 0.6]])
    for rule in (Strongest(), SkipLimit(), WithinBudget(in_channels=1, num_classes=10)):
        assert derive(LAYERS, shares, {}, rule).genotype() == "stem 3x3-4/2 5x5-4/2 1x1-4+"
    sizes: dict[str, Any] = {"in_channels": 1, "num_classes": 10}
    largest = sum(p.numel() for p in Net(derive(LAYERS, shares, {}), 1, 10).parameters())
    rule = WithinBudget(parameters=largest - 1, **sizes)
    smaller = derive(LAYERS, shares, {}, rule)
    assert smaller.genotype() == "stem 3x3-4/2 5x5-4/2" and rule.admits(LAYERS, smaller)
    assert sum(p.numel() for p in Net(smaller, 1, 10).parameters()) < largest
    with pytest.raises(ValueError, match="has at most 3 parameters; its architectures have at l"):
        derive(LAYERS, shares, {}, WithinBudget(parameters=3, **sizes))


def test_other_kinds_are_compared() -> None:
    first, second = (Chain(3, 4, 2, (Block(3, 4), Block(kernel, 4))) for kernel in (5, 1))
    assert [*describe_differences(first, second)] == [
        "chain: 2 of 3 edges of A are in B with the same operation",
        "  node 2 reads 1 through 5x5-4 in A, 1x1-4 in B",
    ]
    assert any(
        "only in B" in line for line in describe_differences(SMALL.first_architecture(), first)
    )


SEARCHES: dict[str, dict[str, Any]] = {
    "by gradients": {
        "class_path": "darts_lite.ArchitectureSearch",
        "init_args": {
            "gradient": {"class_path": "darts_lite.SecondOrder"},
            "derivation": {
                "class_path": "darts_lite.WithinBudget",
                "init_args": {"parameters": 250},
            },
        },
    },
    "without gradients": {
        "class_path": "darts_lite.Exploration",
        "init_args": {
            "evaluations": 3,
            "evaluator": {
                "class_path": "darts_lite.SharedWeights",
                "init_args": {"weights_epochs": 0.5},
            },
        },
    },
}
CALLBACKS = (
    "CostPenalty",
    "DiscretisationGap",
    {"class_path": "EigenvalueMonitor", "init_args": {"window": 1, "iterations": 2}},
    {"class_path": "OperationFreezing", "init_args": {"window": 1, "every_n_steps": 1}},
    {"class_path": "Perturbation", "init_args": {"tuning_steps": 1, "batches": 1}},
)


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_a_run_of_another_kind(
    search: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    described = SEARCHES[search]
    space = {"class_path": "darts_lite.LayerSpace", "init_args": {**SETTINGS}}
    settings = {"space": json.loads(json.dumps(space)), **described["init_args"]}
    config = {**QUICK, "model": {**described, "init_args": settings}}
    config["trainer"] = {**QUICK["trainer"], "limit_train_batches": 4, "callbacks": []}
    config["retraining"] = {**QUICK["retraining"], "drop_path": 0.0}  # a chain has no edges
    for callback in CALLBACKS if search == "by gradients" else ():
        about = callback if isinstance(callback, dict) else {"class_path": callback}
        about = {**about, "class_path": f"darts_lite.{about['class_path']}"}
        config["trainer"]["callbacks"].append(about)
    (path := tmp_path / "layers.yaml").write_text(yaml.safe_dump(config))
    logs = ["--data.root", finished.data[1], "--run.folder", str(tmp_path)]
    repeated = ["--run.seeds=2", "--run.control=random", "--run.control_nets=1"]
    main(["fit", "--config", str(path), *logs, *repeated])
    run = tmp_path / "quick" / "version_0"
    assert {"net.ckpt", "architecture.png", "agreement.png", "history/retraining.json"} <= files(
        run
    )
    found = read_architecture(run / "architecture.json")
    assert isinstance(found, Chain)
    assert isinstance(Net.from_run(run).architecture, Chain)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["architecture"] == found.genotype() and len(summary["control_params"]) == 1
    first = run / "seeds" / "3"
    main(["test", "--ckpt_path", str(run / "net.ckpt")])
    main(
        ["export", str(run / "net.ckpt"), "--to", "pt2", "python", "safetensors", "--images", "20"]
    )
    main(["plot", str(first), "--output", str(tmp_path / "drawn")])
    checkpoint = str(first / "checkpoints" / "last.ckpt")
    main(["derive", checkpoint])
    assert "blocks of 4 to 4 channels" in capsys.readouterr().out
    main(
        [
            "derive",
            "--compare",
            checkpoint,
            str(run / "architecture.json"),
        ]
    )


def test_a_choice_that_no_picture_shows_is_told() -> None:
    places = {name: [0] * len(group.rows) for name, group in LAYERS.groups.items()}
    first, second = (
        LAYERS.build(LAYERS.name_options(places | {"kernel": [0, kernel]})) for kernel in (1, 2)
    )
    assert first.diagrams == second.diagrams  # the second block is off
    (line,) = describe_differences(first, second)
    assert line.startswith("kernel: ") and "in A" in line and "in B" in line


def test_a_limit_of_skips_is_refused_where_there_is_no_normal_cell() -> None:
    shares = {name: torch.rand(group.shape) for name, group in LAYERS.groups.items()}
    assert SkipLimit()(LAYERS, shares) == Strongest()(LAYERS, shares)  # it skips nothing
    with pytest.raises(ValueError) as caught:
        SkipLimit()(Skipping(**SETTINGS), shares)
    one_line(caught, "this space has no such cell; choose another derivation")


class Skipping(LayerSpace):
    """A chain whose blocks may skip."""

    @cached_property
    def groups(self) -> dict[str, Group]:
        groups = LayerSpace(**SETTINGS).groups
        return {**groups, "link": replace(groups["link"], options=("skip_connect", "on"))}


@pytest.mark.parametrize("content", [{}, {"blocks": 5}, {"format": None}])
def test_a_damaged_architecture_of_a_kind_is_one_line(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        build_architecture({"kind": "layers", **content})
    one_line(caught, "expected an object with 'format'")
