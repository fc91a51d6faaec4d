"""A kind of space is found by its classes and files, and a second one fits everywhere."""

import json
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from chain_kind import CHAIN, Chain, ChainSpace
from run_helpers import QUICK, SMALL, Finished, files, one_line, some_digits, some_slow

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
from darts_lite.networks.supernet import Supernet
from darts_lite.space.cells.architecture import ARCHITECTURES
from darts_lite.space.differences import describe_differences
from darts_lite.space.groups import Group


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> ChainSpace:
    """A space of a second kind."""
    monkeypatch.setitem(KINDS, "chain", CHAIN)
    return ChainSpace()


def test_a_kind_is_found_by_spaces_and_architectures(chain: ChainSpace) -> None:
    assert find_kind(SMALL) is find_kind(SMALL.first_architecture()) is KINDS["cells"]
    assert find_kind(chain) is find_kind(chain.first_architecture()) is CHAIN
    with pytest.raises(TypeError, match="int is no space"):
        find_kind(3)  # type: ignore[arg-type]


def test_files_tell_their_kind(chain: ChainSpace, tmp_path: Path) -> None:
    for space in (SMALL, chain):
        assert read_space(json.loads(json.dumps(space.to_dict()))) == space
        assert read_space(space) is space
        found = space.first_architecture()
        found.save(tmp_path / "found.json")
        assert read_architecture(tmp_path / "found.json") == found
        assert read_architecture(json.loads(json.dumps(found.to_dict()))) == found
    assert read_architecture("DARTS_V2") is ARCHITECTURES["DARTS_V2"]
    with pytest.raises(ValueError) as caught:
        read_architecture({"kind": "tree"})
    one_line(caught, "unknown kind 'tree'", "['cells', 'chain']")
    with pytest.raises(ValueError) as caught:
        read_space({"class_path": "os.system", "init_args": {"command": "true"}})
    one_line(caught, "'os.system' is not one of", "ChainSpace")
    with pytest.raises(FileNotFoundError) as missing:
        read_architecture("DARTS_V3")
    one_line(missing, "'DARTS_V3'", "DARTS_V2")


def test_a_path_through_another_supernet_is_its_net(chain: ChainSpace) -> None:
    torch.manual_seed(0)
    supernet = Supernet(chain, 1, 10).eval()
    images = some_digits()[0][:4].unsqueeze(1) / 255
    for point in product(*map(range, chain.sizes)):
        architecture = chain.architecture(point)
        net = Net(architecture, 1, 10).eval()
        net.inherit(supernet)
        expected = supernet(images, chain.path(architecture))
        torch.testing.assert_close(net(images), expected)


def test_rules_derive_from_another_kind(chain: ChainSpace) -> None:
    shares = {
        "kernel": torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]),
        "gate": torch.tensor([[0.4, 0.6], [0.1, 0.9]]),
    }
    for rule in (Strongest(), SkipLimit(), WithinBudget(in_channels=1, num_classes=10)):
        assert derive(chain, shares, {}, rule).genotype() == "5-1"
    sizes: dict[str, Any] = {"in_channels": 1, "num_classes": 10}
    largest = sum(p.numel() for p in Net(derive(chain, shares, {}), 1, 10).parameters())
    rule = WithinBudget(parameters=largest - 1, **sizes)
    smaller = derive(chain, shares, {}, rule)
    assert smaller.genotype() == "none-1" and rule.admits(chain, smaller)
    assert sum(p.numel() for p in Net(smaller, 1, 10).parameters()) < largest
    with pytest.raises(ValueError, match="has at most 3 parameters; its architectures have at l"):
        derive(chain, shares, {}, WithinBudget(parameters=3, **sizes))


def test_other_kinds_are_compared(chain: ChainSpace) -> None:
    first, second = Chain((3, 5), (True, True), 4), Chain((3, 1), (True, True), 8)
    assert [*describe_differences(first, second)] == [
        "skeleton: channels is 4 in A, 8 in B",
        "chain: 1 of 2 edges of A are in B with the same operation",
        "  node 1 reads 0 through dw_conv_5x5 in A, dw_conv_1x1 in B",
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
                "init_args": {"parameters": 200},
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


@pytest.mark.parametrize("search", some_slow([*SEARCHES][:1], [*SEARCHES][1:]))
def test_a_run_of_another_kind(
    search: str,
    chain: ChainSpace,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    described = SEARCHES[search]
    settings = {"space": {"class_path": "chain_kind.ChainSpace"}, **described["init_args"]}
    config = {**QUICK, "model": {**described, "init_args": settings}}
    config["trainer"] = {**QUICK["trainer"], "limit_train_batches": 4, "callbacks": []}
    for callback in CALLBACKS if search == "by gradients" else ():
        about = callback if isinstance(callback, dict) else {"class_path": callback}
        about = {**about, "class_path": f"darts_lite.{about['class_path']}"}
        config["trainer"]["callbacks"].append(about)
    (path := tmp_path / "chain.yaml").write_text(yaml.safe_dump(config))
    logs = ["--data.root", finished.data[1], "--run.folder", str(tmp_path)]
    trust = ["--run.seeds=2", "--run.control=random", "--run.control_nets=1"]
    main(["fit", "--config", str(path), *logs, *trust, "--run.imports=[chain_kind]"])
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
    main(["test", "--ckpt_path", str(run / "net.ckpt"), "--run.imports=[chain_kind]"])
    main(
        ["export", str(run / "net.ckpt"), "--to", "pt2", "python", "safetensors", "--images", "20"]
    )
    main(["plot", str(first), "--output", str(tmp_path / "drawn")])
    checkpoint = str(first / "checkpoints" / "last.ckpt")
    main(["derive", checkpoint, "--run.imports", "chain_kind"])
    assert "slots of 4 channels" in capsys.readouterr().out
    main(
        [
            "derive",
            "--compare",
            checkpoint,
            str(run / "architecture.json"),
            "--run.imports",
            "chain_kind",
        ]
    )


def test_a_choice_that_no_picture_shows_is_told() -> None:
    first, second = (Chain((1, kernel), (True, False), 4) for kernel in (3, 5))
    assert first.diagrams == second.diagrams
    (line,) = describe_differences(first, second)
    assert line.startswith("kernel: ") and "in A" in line and "in B" in line


def test_a_limit_of_skips_is_refused_where_there_is_no_normal_cell(
    chain: ChainSpace,
) -> None:
    shares = {name: torch.rand(group.shape) for name, group in chain.groups.items()}
    assert SkipLimit()(chain, shares) == Strongest()(chain, shares)  # it skips nothing
    with pytest.raises(ValueError) as caught:
        SkipLimit()(Skipping(), shares)
    one_line(caught, "this space has no such cell; choose another derivation")


class Skipping(ChainSpace):
    """A chain whose slots may skip."""

    @cached_property
    def groups(self) -> dict[str, Group]:
        groups = ChainSpace().groups
        return {**groups, "gate": replace(groups["gate"], options=("skip_connect", "on"))}


@pytest.mark.parametrize("content", [{}, {"kernels": 5}, {"kernels": None, "gates": []}])
def test_a_damaged_architecture_of_a_kind_is_one_line(
    content: dict[str, Any], chain: ChainSpace
) -> None:
    with pytest.raises(ValueError) as caught:
        build_architecture({"kind": "chain", **content})
    one_line(caught, "the content of an architecture is wrong")
