"""The benchmark of the growth of costs runs at a tiny size, and its exponents are right."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import scaling
from scaling import Point
from search_step import MIB
from systems import Settings, Step

from darts_lite import darts_space

SMALL = "channels=4 cells=2 nodes=1 batch=2 size=8 runs=1 warmup=1 threads=1"
TINY = [f"--{setting}" for setting in SMALL.split()]
BASE = Settings(darts_space(channels=4, cells=2, nodes=1), batch=2, size=8)
SWEEPS = [f"--sweep-{name}" for name in scaling.AXES]


def sweep(name: str, values: Sequence[int], cost: Callable[[int], int]) -> list[Point]:
    """Points with made-up costs: so many seconds and so many MiB."""
    points = []
    for value in values:
        settings = scaling.varied(BASE, name, value)
        step = Step(0.0, cost(value), 0.0, cost(value) * MIB, cost(value) * MIB)
        points.append(Point(value, settings, scaling.count(settings), [step]))
    return points


@pytest.mark.slow
def test_a_sweep_is_measured_and_drawn(
    found_digits: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plot = tmp_path / "scaling.png"
    scaling.main([*TINY, *SWEEPS, "2", "4", "--plot", str(plot)])  # the last one is of the batch
    header, points, exponents = capsys.readouterr().out.strip().split("\n\n")
    assert "System: folded" in header
    rows = [[cell.strip() for cell in row.split("|")] for row in points.splitlines()]
    assert [row[1:3] for row in rows] == [["batch", "images"], ["---"] * 2, ["2"] * 2, ["4"] * 2]
    assert [row.split("|")[1:3] for row in exponents.splitlines()[2:]] == [
        [" batch ", " seconds "],
        [" batch ", " memory "],
    ]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_all_axes_are_planned_around_the_base() -> None:
    assert [scaling.varied(BASE, name, 5) for name in ("channels", "cells", "batch")] == [
        Settings(darts_space(channels=5, cells=2, nodes=1), batch=2, size=8),
        Settings(darts_space(channels=4, cells=5, nodes=1), batch=2, size=8),
        Settings(darts_space(channels=4, cells=2, nodes=1), batch=5, size=8),
    ]
    assert scaling.varied(BASE, "candidates", 2).space.candidates == ("none", "sep_conv_3x3")
    assert set(scaling.CANDIDATES) == set(BASE.space.candidates)


def test_an_exponent_is_the_slope_between_logarithms() -> None:
    assert scaling.slope([(1, 3), (2, 12), (4, 48)]) == pytest.approx(2)
    assert scaling.slope([(1, 4), (4, 8)]) == pytest.approx(0.5)


def test_growth_is_held_against_the_right_size() -> None:
    sweeps = {
        "nodes": sweep("nodes", (1, 2, 3), lambda n: n * (n + 3)),  # the number of edges
        "candidates": sweep("candidates", (2, 3, 5), lambda n: n - 1),
        "batch": sweep("batch", (2, 4), lambda n: n * n),
    }
    rows = [row.split(" | ") for row in scaling.exponent_table(sweeps).splitlines()[2:]]
    assert [row[3:] for row in rows] == [["1.00", "1.00", "yes |"]] * 4 + [
        ["2.00", "2.00", "NO |"]
    ] * 2


def test_counts_are_those_of_the_literal_sum() -> None:
    small, wide = (scaling.count(scaling.varied(BASE, "channels", value)) for value in (4, 8))
    logits = 10
    assert wide.elements - logits == 2 * (small.elements - logits)
    assert 2 * small.multiply_adds < wide.multiply_adds < 4 * small.multiply_adds
    assert 2 * small.weights < wide.weights < 4 * small.weights


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "scaling.pdf"], ".png or .svg"),
        (["--sweep-batch", "4"], "two or more values"),
        (["--sweep-nodes", "0", "1"], "at least 1"),
        (["--sweep-candidates", "1", "3"], "from 2 to 8"),
        (["--candidates", "1"], "besides 'none'"),
        (SWEEPS, "nothing to measure"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        scaling.main(arguments)
    written = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in written and written.count("\n") == 1
