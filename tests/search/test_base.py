"""What both kinds of search share, on real digits."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Timer
from run_helpers import SMALL, fast_sgd, quiet_trainer
from torch import nn

from darts_lite.data.images.image_data import ImageData
from darts_lite.search import base
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search, name_algorithm
from darts_lite.search.exploration.evaluators import SharedWeights
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.search.exploration.strategies import RandomSearch
from darts_lite.search.relaxations import Softmax
from darts_lite.storage.data_places import hide_places

CLIP = 0.01
USUAL = {"partial_channels": 1, "edge_weights": False, "auxiliary_skip": 0.0}


class Own(ArchitectureSearch):
    """A subclass that is not part of the package."""


def by_gradients() -> Search:
    return ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, gradient_clip=CLIP)


def by_evaluations() -> Search:
    evaluator = SharedWeights(weights_epochs=0.5, batches=1)
    return Exploration(SMALL, evaluator=evaluator, weights_optimizer=fast_sgd, gradient_clip=CLIP)


def by_a_subclass() -> Search:
    return Own(SMALL, weights_optimizer=fast_sgd)


@pytest.mark.parametrize("make", [by_gradients, by_evaluations])
def test_gradients_are_averaged_over_ranks_and_then_clipped(
    make: Callable[[], Search], digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def average(weights: Iterable[nn.Parameter]) -> None:
        """Stands for the mean over several ranks: 1 everywhere."""
        for weight in weights:
            if weight.grad is not None:
                weight.grad.fill_(1)

    monkeypatch.setattr(base, "average_gradients", average)
    search, run = make(), quiet_trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    gradients = [weight.grad for weight in search.supernet.weights() if weight.grad is not None]
    count = sum(gradient.numel() for gradient in gradients)
    assert count > 100
    norm = run.callback_metrics["search/weights_gradient"]  # before the clipping
    assert float(norm) == pytest.approx(count**0.5, rel=1e-4)
    for gradient in gradients:
        clipped = torch.full_like(gradient, CLIP / count**0.5)
        torch.testing.assert_close(gradient, clipped, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (by_gradients, "ArchitectureSearch"),
        (by_evaluations, "Exploration"),
        (by_a_subclass, "ArchitectureSearch"),
    ],
)
def test_a_checkpoint_holds_class_path_and_settings(
    make: Callable[[], Search], name: str, digits: ImageData, tmp_path: Path
) -> None:
    search, run = make(), quiet_trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "x.ckpt")
    content = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert content["model"] == {
        "class_path": f"darts_lite.{name}",
        "init_args": dict(search.hparams),
    }
    assert content["model"]["init_args"]["space"] == SMALL.to_dict()
    assert content["data"] == hide_places(digits.describe())
    assert content["preparation"] == digits.preparation.to_dict()


def test_a_search_votes_with_its_shares_until_something_else_selects() -> None:
    search = ArchitectureSearch(SMALL)
    for kind, vote in search.votes().items():
        assert torch.equal(vote, search.shares()[kind])
    search.selected = SMALL.first_architecture()
    path = SMALL.path(search.selected)
    assert all(torch.equal(vote, path[kind]) for kind, vote in search.votes().items())


def test_an_exploration_votes_with_the_path_of_its_best() -> None:
    search = Exploration(SMALL)
    worse, better = (tuple(n % size for size in SMALL.sizes) for n in (0, 1))
    search.known.update({worse: 0.2, better: 0.9})
    path = SMALL.path(SMALL.architecture(better))
    votes = search.votes()
    assert votes.keys() == path.keys()
    assert all(torch.equal(vote, path[kind]) for kind, vote in votes.items())


def test_what_is_unusual_in_a_search_is_named() -> None:
    assert name_algorithm(("DARTS", Softmax()), USUAL) == "DARTS, Softmax"
    unusual = {"partial_channels": 4, "edge_weights": True, "auxiliary_skip": 1.0}
    assert name_algorithm(("DARTS",), unusual) == (
        "DARTS, partial_channels 4, edge_weights True, auxiliary_skip"
    )


@pytest.mark.parametrize(
    ("epochs", "warmup", "first"),
    [(2, 0.0, 0), (2, 0.5, 4), (2, 1.0, 8), (2, 1.5, 12), (2, 2.0, 8), (1, 9.0, 4)],
)
def test_a_warmup_leaves_steps_for_the_alphas(
    epochs: int,
    warmup: float,
    first: int,
    digits: ImageData,
    capsys: pytest.CaptureFixture[str],
) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, warmup_epochs=warmup)
    run = quiet_trainer(max_epochs=epochs, limit_train_batches=8, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    assert int(search.architecture_steps) == 8 * epochs - first
    assert search.has_chosen
    assert ("the alphas move after half of them" in capsys.readouterr().out) == (warmup >= epochs)


@pytest.mark.parametrize("limit", [{"max_steps": 6}, {"max_steps": 1}, {"fast_dev_run": True}])
def test_a_limit_of_steps_leaves_some_too(limit: dict[str, Any], digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, warmup_epochs=1.0)
    quiet_trainer(**limit, limit_val_batches=0).fit(search, datamodule=digits)
    assert search.has_chosen


class Spent(Timer):
    """A limit in time of which some is spent at the start, as on a slow machine."""

    def __init__(self, seconds: float) -> None:
        super().__init__({"seconds": 1000})
        self.load_state_dict({"time_elapsed": {"train": seconds}})


@pytest.mark.parametrize(
    ("make", "spent", "chosen"),
    [
        (lambda: ArchitectureSearch(SMALL, warmup_epochs=1.0), 0.0, 8),
        (lambda: ArchitectureSearch(SMALL, warmup_epochs=1.0), 500.0, 16),
        (lambda: ArchitectureSearch(SMALL, warmup_epochs=1.5), 500.0, 4),
        (lambda: ArchitectureSearch(SMALL, warmup_epochs=1.5), 750.0, 16),
        (lambda: exploring(1.0), 0.0, 8),
        (lambda: exploring(1.0), 500.0, 16),
    ],
)
def test_a_limit_in_time_shortens_the_warmup(
    make: Callable[[], Any], spent: float, chosen: int, digits: ImageData
) -> None:
    search = make()
    run = quiet_trainer(
        max_epochs=2, limit_train_batches=8, limit_val_batches=0, callbacks=[Spent(spent)]
    )
    run.fit(search, datamodule=digits)
    steps = len(search.known) if isinstance(search, Exploration) else search.architecture_steps
    assert int(steps) == chosen


def exploring(weights_epochs: float) -> Search:
    evaluator = SharedWeights(weights_epochs=weights_epochs, batches=1)
    return Exploration(SMALL, strategy=RandomSearch(), evaluator=evaluator)
