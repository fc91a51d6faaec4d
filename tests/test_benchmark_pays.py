"""The benchmark of whether the search pays."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pays
import pays_plot
import pays_report
import peer_pit
import pytest
import torch
from exactness import count_costs
from published_nets import PUBLISHED

from darts_lite.derivation.costs import multiply_adds

COSTS = {"params": 900, "macs": 90_000, "memory": 1_800}


def line(kind: str, number: int, accuracy: float, **more: Any) -> dict[str, Any]:
    known = {"cell": "MNIST 1000", "validation_accuracy": accuracy, "test_accuracy": accuracy}
    return {"kind": kind, "number": number, "seconds": 10.0} | COSTS | known | more


def test_the_table_compares_at_equal_time() -> None:
    lines = [line("random", number, 0.80 + number / 100) for number in range(10)]
    lines += [line("found", number, 0.88 + number / 100, search_seconds=20.0) for number in (0, 1)]
    lines += [line("separable", 0, 0.85, architecture="a")]
    lines += [line("separable", 1, 0.86, validation_accuracy=0.9, architecture="b")]
    row = pays_report.describe_cell(lines, Random(0))
    assert row is not None
    assert row["found"] == "88.50 (0.71, 2)" and row["random"] == "84.50 (3.03, 10)"
    assert row["search / training"] == "2.0"
    assert row["P(found > random)"] == "0.90"  # 0.88 ties with one and is below one, 0.89 with one
    anew = [
        line("separable, again", n, 0.83 + n / 100, architecture=a) for n, a in enumerate("bba")
    ]
    for known, best in ((lines, "86.00"), ([*lines, *anew], "83.50")):
        shown = pays_report.report_families(known).splitlines()
        assert shown[0] == "| by hand | MNIST 1000 |"
        assert shown[2:] == [f"| separable | {best} |", "| found | 88.50 |"]
    value, count = row["best of n"].split(" (n = ")
    assert count == "3)" and 86 < float(value) < 88
    assert "MNIST 1000" in pays_report.report(lines)
    alone = {"cell": "MNIST 700 parameters alone, all images", "params": 697, "macs": 80_576}
    told = pays_report.report(lines)
    assert "| MNIST 1000, found | 900 | 90,000 | 1,800 | 0.2, 0.3 |" in told
    told = pays_report.report([*lines, line("published", 0, 0.99, **alone)])
    assert "| 99.00 (99.00) | 697 | 80,576 | 1,800 | 0 |" in " ".join(told.split())
    assert pays_report.report(lines[:10]).startswith("there are too few rows yet")


def test_permutations_and_their_correction() -> None:
    random = Random(0)
    assert pays_report.permute([5.0] * 5 + [6.0], [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], random) < 0.01
    assert pays_report.permute([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], random) == 1
    found = pays_report.correct({"a": 0.01, "b": 0.04, "c": 0.03})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    low, high = pays_report.bootstrap([2.0, 3.0], [1.0, 1.0], random)
    assert low == 1.0 and high == 2.0


def test_a_kind_of_net_looks_the_same_in_all_panels() -> None:
    peer = line("peer", 0, 0.9, memory=2048)
    here = [peer, *(line("found", n, 0.9 + n / 100, memory=2048) for n in (0, 1))]
    there = [one | {"cell": "FashionMNIST 1000"} for one in here[1:]]
    panels = pays_plot.plot([*there, *here]).axes
    looks = [[(one.get_marker(), one.get_color()) for one in panel.lines] for panel in panels]
    assert looks[0] == looks[3][:1] and len({*looks[3]}) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rows_are_made_once(
    found_digits: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = pays.Cell("MNIST", 1000, 2, images=600, epochs=1, search_steps=36)
    for name, value in {"CELLS": [small], "SEARCHES": 1, "RANDOM": 1, "VALIDATED": 100}.items():
        monkeypatch.setattr(pays, name, value)
    monkeypatch.setattr(pays, "IDEAS", 1)
    monkeypatch.setattr(pays, "AFRESH", 1)
    results = tmp_path / "pays.jsonl"
    pays.main(["--results", str(results)])
    lines = [json.loads(each) for each in results.read_text().splitlines()]
    assert sorted(each["kind"] for each in lines) == [
        *("found", "full", "full residual", "full, then separable", "inverted residual"),
        *("random", "separable", "separable residual"),
    ]
    for each in lines:
        assert each["params"] <= 1000 and each["macs"] <= 100_000 and each["memory"] <= 2048
        assert 0 <= each["test_accuracy"] <= 1 and each["seconds"] > 0
    shown = tmp_path / "pays.png"
    pays.main(["--results", str(results), "--plot", str(shown)])
    assert len(results.read_text().splitlines()) == len(lines)
    assert shown.read_bytes().startswith(b"\x89PNG")
    for _ in range(2):
        pays.main(["--results", str(results), "--kind", "again"])
    anew = [json.loads(each) for each in results.read_text().splitlines()[len(lines) :]]
    nets = {each["kind"]: each["architecture"] for each in lines}
    assert len(anew) == len({each["kind"] for each in anew}) == 6
    assert all(nets[each["kind"].removesuffix(", again")] == each["architecture"] for each in anew)
    with pytest.raises(SystemExit):
        pays.main(["--results", str(results), "--cell", "nothing"])


def test_published_nets_are_rebuilt() -> None:
    for each in PUBLISHED.values():
        net, image = each.build().eval(), torch.rand(2, 1, 28, 28)
        assert sum(p.numel() for p in net.parameters()) == each.parameters
        assert multiply_adds(net, image[:1]) == each.multiply_adds
        assert net(image).shape == (2, 10)
    alone = pays.Cell("MNIST", 700, None)
    kinds = [kind for kind, _, _ in pays.list_rows(alone)]
    assert kinds == ["published"] + ["found"] * pays.SEARCHES_ALONE
    assert alone.rule.multiply_adds is None and alone.rule.parameters == 700


def test_all_images_are_for_searches_and_for_rivals_of_two_cells() -> None:
    every = [cell for cell in pays.CELLS if cell.name.endswith("all images") and cell.kilobytes]
    assert len(every) == 8
    alone = [cell for cell in every if not cell.name.startswith(pays.RIVALS)]
    assert len(alone) == 6
    for cell in alone:
        assert [kind for kind, _, _ in pays.list_rows(cell)] == ["found"] * pays.SEARCHES_OF_ALL


@pytest.mark.slow
def test_the_seed_of_a_peer_is_wider_than_the_budget() -> None:
    rule = pays.Cell("MNIST", 2000, 4).rule
    counted = count_costs(peer_pit.choose_seed(pays.SPACE, rule).eval())
    assert 2 * 2000 < counted["parameters"] <= 4 * 2000
    assert counted["multiply_adds"] <= 4 * 200_000 and counted["memory"] <= 4 * 4096
