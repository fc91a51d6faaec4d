"""The benchmark of a search step runs at a tiny size, and its figures are what they say."""

from pathlib import Path

import forked
import pytest
import search_step
import systems
import torch
from search_step import MIB
from systems import Step

SMALL = "channels=8 cells=2 nodes=1 batch=2 size=8 runs=2 warmup=1 threads=1"
TINY = [f"--{setting}" for setting in SMALL.split()]
MODEL = """
import torch

class Network(torch.nn.Module):
    def __init__(self, C, num_classes, layers, criterion, steps=4, multiplier=4):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, C, 3), *(torch.nn.Conv2d(C, C, 1) for _ in range(layers))
        )
        self.classifier = torch.nn.Linear(C, num_classes)
        self.criterion = criterion
        self.alphas = torch.zeros(steps * multiplier, 1).cuda().requires_grad_()

    def arch_parameters(self):
        return [self.alphas]

    def forward(self, input):
        return self.classifier(self.body(input).mean((2, 3))) * self.alphas.exp().mean()

    def _loss(self, input, target):
        return self.criterion(self(input), target)
"""
ARCHITECT = """
import torch

class Architect:
    def __init__(self, model, args):
        self.model = model
        self.optimizer = torch.optim.Adam(
            model.arch_parameters(), args.arch_learning_rate, weight_decay=args.arch_weight_decay
        )

    def step(self, input_train, target_train, input, target, eta, network_optimizer, unrolled):
        assert not unrolled
        self.optimizer.zero_grad()
        self.model._loss(input, target).backward()
        self.optimizer.step()
"""


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers are forks of one process, which alone takes seconds to import the package.

    The benchmark of growth is tested with spawned workers.
    """
    monkeypatch.setattr(systems, "CONTEXT", forked.copies())


def write_peer(folder: Path, model: str = MODEL) -> str:
    """A stand-in for the published code."""
    (folder / "model_search.py").write_text(model)
    (folder / "architect.py").write_text(ARCHITECT)
    return str(folder)


def steps(*seconds: float, peak: int = 0, added: int = 0) -> list[Step]:
    """Steps of so many seconds, a quarter of them for the architecture."""
    return [Step(s / 4, 3 * s / 4, 0.0, peak * MIB, added * MIB) for s in seconds]


def cells(table: str) -> list[list[str]]:
    """The rows of a table below its header."""
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]


@pytest.mark.slow
def test_all_systems_are_measured(
    quick_start: None,
    found_digits: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    search_step.main([*TINY, "--peer", write_peer(tmp_path)])
    header, measured, title, ratios, losses = capsys.readouterr().out.strip().split("\n\n")
    assert f"torch {torch.__version__}" in header and "C=8, 2 cells, 1 nodes" in header
    names = ["folded", "literal", "peer", "peer_channels_last"]
    assert [row[0] for row in cells(measured)] == names
    assert all(int(row[5]) > int(row[6]) > 0 for row in cells(measured))
    assert title.startswith("folded against each system")
    assert cells(ratios)[0] == ["folded", "1.00 (1.00-1.00)", "1.00", "1.00"]
    assert [row[0] for row in cells(ratios)] == names
    assert losses.startswith("Losses of the first step agree")


def test_a_system_that_fails_ends_the_benchmark(
    quick_start: None, found_digits: None, tmp_path: Path
) -> None:
    peer = write_peer(tmp_path, "raise RuntimeError('too old')")
    with pytest.raises(SystemExit) as caught:
        search_step.main([*TINY, "--peer", peer, "--systems", "peer"])
    assert caught.value.code == "peer failed: RuntimeError: too old (model_search.py:1)"


def test_a_system_that_takes_too_long_is_ended(
    quick_start: None, found_digits: None, tmp_path: Path
) -> None:
    peer = write_peer(tmp_path, "import time; time.sleep(600)")
    settings = systems.Settings(peer=peer)
    batches, _ = systems.digits(2, 8)
    with (
        pytest.raises(SystemExit, match="peer was ended after 3 s"),
        systems.Worker("peer", settings, batches, patience=3.0),
    ):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peer", "nowhere"], "nowhere"),
        (["--systems", "folded", "peer"], "--peer"),
        (["--runs", "0"], "--runs must be at least 1"),
        (["--channels", "0"], "channels must be a whole number"),
        (["--space", "mnist", "--cells", "1"], "reductions name cell 1"),
        (["--batch", "2001"], "4000 digits"),
        (["--rule", "--channels", "8"], "leave out --channels"),
        pytest.param(
            ["--device", "cuda"],
            "needs a GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    found_digits: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        search_step.main(arguments)
    written = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in written and written.count("\n") == 1


def test_seconds_are_medians_and_ranges() -> None:
    measured = {"folded": steps(4.0, 2.0, 8.0, peak=900, added=100)}
    table = search_step.step_table(measured, {"folded": steps(60.0)[0]})
    step, architecture, weights = (
        "4.000 (2.000-8.000)",
        "1.000 (0.500-2.000)",
        "3.000 (1.500-6.000)",
    )
    assert cells(table) == [["folded", step, architecture, weights, "60.0", "900", "100"]]


def test_ratios_are_taken_round_by_round() -> None:
    title, table = search_step.ratio_table(
        {
            "folded": steps(1.0, 2.0, 4.0, peak=600, added=100),
            "literal": steps(3.0, 4.0, 10.0, peak=1200, added=400),
        }
    ).split("\n\n")
    assert "above 1, folded is faster" in title and "below 1, folded needs less" in title
    assert cells(table)[1] == ["literal", "2.50 (2.00-3.00)", "0.50", "0.25"]


def test_losses_of_our_systems_are_compared() -> None:
    def agreement(**losses: float) -> str:
        first = {system: Step(0, 0, loss, 0, 0) for system, loss in losses.items()}
        return search_step.agreement(first)

    assert " agree " in agreement(folded=2.0, literal=2.0001, peer=9.0)
    assert " DISAGREE " in agreement(folded=2.0, literal=2.001)
    assert "none to compare" in agreement(peer=2.0)


def test_both_batches_are_different_digits(
    found_digits: None,
) -> None:
    (first, second), source = systems.digits(3, 14)
    assert source == "local files"
    for images, labels in (first, second):
        assert images.shape == (3, 1, 14, 14) and images.dtype == "float32"
        assert labels.shape == (3,)
    assert not (first[0] == second[0]).all(axis=(1, 2, 3)).any()
