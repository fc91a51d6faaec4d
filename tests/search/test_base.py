"""What both kinds of search share, on real digits."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from run_helpers import SMALL, fast_sgd, quiet_trainer
from torch import nn

from darts_lite.data.image_data import ImageData
from darts_lite.search import base
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search, name_algorithm
from darts_lite.search.exploration.evaluators import SharedWeights
from darts_lite.search.exploration.exploration import Exploration
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
