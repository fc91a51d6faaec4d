"""The benchmark commands run, on a small scale."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import ablation
import agreement
import depthwise
import exactness
import exports
import leverage
import mixed_choice
import mnist
import mnist_nets
import nasbench201
import nasbench201_supernets
import plan
import planted
import pytest
import scaling
import second_order
import skeletons
import torch
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cells.nasbench201 import COLUMNS
from darts_lite.space.layers.layer_space import LayerSpace


def test_planted_prints_a_row_per_setting(
    found_digits: None, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.main(["--steps", "2", "--rates", "1e-3", "--strengths", "0", "5", "--seeds", "1"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1:3] for row in rows[-2:]] == [[" 0.001 ", " 0 "], [" 0.001 ", " 5 "]]


def test_depthwise_prints_a_row_per_kernel_and_map(capsys: pytest.CaptureFixture[str]) -> None:
    depthwise.main(["--runs", "1"])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[-8:]]
    assert [row[1].strip() for row in rows] == ["3x3", "5x5"] * 4
    assert all(float(row[4]) > 0 for row in rows)


def test_exports_prints_a_row_per_net_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    exports.main(["--to", "safetensors"])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[-3:]]
    assert [row[0] for row in rows] == ["chain", "cells", "cells, nine shifts"]
    assert all(1 < float(row[4]) < 1.3 and float(row[5]) > 0 for row in rows)


def test_exactness_counts_what_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = LayerSpace(stages=(2, 1), widths=(8, 16), placements=("stem 1", "stem 2"))
    monkeypatch.setattr(exactness, "SPACE", few)
    exactness.main(["--budgets", "3", "--draws", "100"])
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("0 of 3 derived nets are above a budget")
    for row in rows[2:]:
        *_, apart, slopes = [cell.strip() for cell in row.strip("| ").split("|")]
        assert abs(float(apart)) < 5 and float(slopes) < 1e-4


def test_agreement_compares_runs_edge_by_edge(
    digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ArchitectureSearch(SMALL)
    run = quiet_trainer(max_steps=1, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    for seed, winner in enumerate((1, 1, 3)):
        folder = tmp_path / str(seed)
        for alpha in search.supernet.alphas.values():
            alpha.data.zero_()[:, winner] = 1.0
        run.save_checkpoint(folder / "checkpoints" / "last.ckpt")
        (folder / "summary.json").write_text(json.dumps({"seed": seed}))
    agreement.main([str(tmp_path / str(seed)) for seed in range(3)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| cell | edge | seed 0 | seed 1 | seed 2 | agreement |"
    assert len([line for line in lines if line.endswith("2/3 |")]) == 10
    assert "skip_connect | skip_connect | conv_3x3" in lines[2]
    assert lines[-1].startswith("0 of 10 edges agree")


def test_nasbench201_reports_each_strategy_and_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.csv"
    with path.open("w") as file:
        print("index", *COLUMNS, sep=",", file=file)
        for index, point in enumerate(product(*map(range, nasbench201.SIZES))):
            value = 90 - sum(choice != 3 for choice in point)  # the more convolutions the better
            print(
                index,
                nasbench201.cell_of(point),
                *[value] * 3,
                *[value + 1] * 3,
                sep=",",
                file=file,
            )
    nasbench201.main(
        ["--table", str(path), "--seeds", "3", "--evaluations", "5", "200", "--datasets", "cifar10"]
    )
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[2] for row in rows] == ["5", "200"] * 3
    assert rows[3][3] == "91.00" and float(rows[0][3]) < 91  # a hill for local search
    with pytest.raises(SystemExit):
        nasbench201.main(["--table", str(tmp_path / "none.csv")])
    assert "no table at" in capsys.readouterr().err


@pytest.mark.slow
def test_supernets_of_nasbench201_are_searched_once_and_looked_up(
    found_digits: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, results = tmp_path / "table.csv", tmp_path / "found.jsonl"
    with path.open("w") as file:
        print("index", *COLUMNS, sep=",", file=file)
        for index, point in enumerate(product(*map(range, nasbench201.SIZES))):
            print(
                index,
                nasbench201.cell_of(point),
                1,
                1,
                1,
                90 - point.count(0),
                1,
                1,
                sep=",",
                file=file,
            )
    short = ["--seeds", "1", "--epochs", "2", "--steps", "2", "--algorithms", "DARTS", "GDAS"]
    nasbench201_supernets.main(["--results", str(results), *short])
    lines = results.read_text().splitlines()
    assert [json.loads(line)["algorithm"] for line in lines] == ["DARTS", "GDAS"]
    capsys.readouterr()
    nasbench201_supernets.main(["--results", str(results), *short, "--table", str(path)])
    assert results.read_text().splitlines() == lines
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[2:4]] == ["| DARTS", "| GDAS"]
    assert all(84 <= float(row[2]) <= 90 for row in rows[2:4])


@pytest.mark.slow
def test_second_order_compares_ways(found_digits: None, capsys: pytest.CaptureFixture[str]) -> None:
    second_order.main(["--seeds", "1", "--steps", "1", "--batch", "4", "--size", "8"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows[0][:2] == ["| exact", "0.0e+00 (0.0e+00-0.0e+00)"]
    assert len(rows) == 7 and not rows[-1][1].startswith("0.0")


@pytest.mark.slow
def test_the_tutorials_net_is_trained_and_tested(
    digits_root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mnist_nets.main(["--epochs", "1", "--root", digits_root])
    told = json.loads(capsys.readouterr().out)
    assert told["params"] == 1_199_882
    assert told["test_accuracy"] > 0.7 and told["seconds"] > 0


def test_the_separable_net_is_trained_like_a_searched_one(digits: ImageData) -> None:
    model = mnist_nets.SeparableTraining(max_epochs=1, ema_decay=0.9)
    assert sum(p.numel() for p in model.net.parameters()) == 24_362
    before = [p.clone() for p in model.net.parameters()]
    quiet_trainer(max_steps=2, limit_val_batches=1).fit(model, datamodule=digits)
    pairs = zip(model.net.parameters(), before, strict=True)
    assert all(not torch.equal(now, then) for now, then in pairs)


@pytest.mark.parametrize("row", ablation.ROWS)
def test_every_row_of_the_ablation_can_be_trained(row: str) -> None:
    recipe = ablation.ROWS[row]
    model = ablation.the_net(4)(recipe)
    assert model.recipe.test_shifts == recipe.test_shifts
    assert recipe.augmentation() is not None


def test_nets_of_a_comparison_at_equal_time_have_names_of_their_own() -> None:
    for trials in (skeletons.LARGE, skeletons.WIDTHS):
        assert all(epochs > 0 for _, epochs in trials.values())
        for architecture, _ in trials.values():
            assert skeletons.searched(architecture)(skeletons.SHIFTED).net.architecture


@pytest.mark.parametrize(
    ("main", "option", "arguments"),
    [
        (mnist.main, "--results", ["--logs", "logs"]),
        (mnist.main, "--plot", ["--logs", "logs", "--results", "results.jsonl"]),
        (nasbench201_supernets.main, "--results", []),
        (plan.main, "--results", []),
        (ablation.main, "--results", []),
        (scaling.main, "--plot", []),
    ],
)
def test_a_result_that_cannot_be_written_is_told_before_the_work(
    main: Callable[[list[str]], None],
    option: str,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "there.png"
    folder.mkdir()
    with pytest.raises(SystemExit) as caught:
        main([*arguments, option, str(folder)])
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{option}: cannot write {folder}: Is a directory\n"
    assert list(tmp_path.iterdir()) == [folder]


def test_leverage_compares_chains_with_seeds(
    found_digits: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(leverage, "BUDGETS", {"2048 bytes": {"memory": 2048}})
    words = ["--results", str(tmp_path / "rows.jsonl"), "--chains", "2", "--epochs", "1"]
    leverage.main([*words, "--images", "600"])
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == 2 * ["2048 bytes, chain 0", "2048 bytes, chain 1"]
    row = capsys.readouterr().out.splitlines()[-2].split("|")
    assert row[1:3] == [" 2048 bytes ", " 2 "] and 0 < float(row[3]) < 100


def test_leverage_is_the_spread_beside_that_of_seeds() -> None:
    lines = [
        {"name": f"2048 bytes, chain {chain}", "seed": seed, "validation_accuracy": accuracy}
        for chain, pair in enumerate(((0.90, 0.92), (0.70, 0.72)))
        for seed, accuracy in enumerate(pair)
    ]
    *_, row, seeds = leverage.report(lines).splitlines()
    # Seeds: variance 2 in per cent. Means 91 and 71: variance 200, of which seeds make 2 / 2.
    assert seeds == "deviation of seeds: 1.41 (of 2 chains)"
    assert row == "| 2048 bytes | 2 | 81.00 | 91.00 | 14.11 | 10.0 |"
    # With one seed of each chain, they make 2 of it.
    one = {"name": "4096 bytes, chain 0", "seed": 0, "validation_accuracy": 0.9}
    lines += [one, one | {"name": "4096 bytes, chain 1", "validation_accuracy": 0.7}]
    assert leverage.report(lines).splitlines()[-2].endswith("| 14.07 | 9.9 |")


def test_mixed_choice_prints_a_row_per_number(capsys: pytest.CaptureFixture[str]) -> None:
    mixed_choice.main(["--passes", "2", "--batch", "4", "--options", "2", "3"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1] for row in rows[-2:]] == [" 2 ", " 3 "]
