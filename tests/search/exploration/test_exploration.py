"""Searches without gradients, on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import seed_everything
from run_helpers import SMALL, fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.search.exploration.evaluators import FromScratch, SharedWeights
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.search.exploration.strategies import LocalSearch, RandomSearch


def exploration(**settings: Any) -> Exploration:
    defaults: dict[str, Any] = {
        "evaluator": SharedWeights(weights_epochs=1.0, batches=1),
        "evaluations": 12,
        "weights_optimizer": fast_sgd,
    }
    return Exploration(SMALL, **(defaults | settings))


def test_shared_weights_learn_and_rank_architectures(digits: ImageData) -> None:
    seed_everything(0, verbose=False)
    search = exploration(evaluator=SharedWeights(weights_epochs=2.0, batches=1))
    run = quiet_trainer(max_epochs=4)
    run.fit(search, datamodule=digits)
    assert len(search.known) == 12
    assert run.global_step == 2 * run.num_training_batches
    assert max(search.known.values()) > 0.3
    assert len(set(search.known.values())) > 3
    assert search.known[search.best] == max(search.known.values())
    assert search.derive().choices["normal"]
    assert run.callback_metrics["search/best_value"] == pytest.approx(search.known[search.best])
    assert run.callback_metrics["search/validation_accuracy"] > 0.3


def test_an_evaluation_leaves_the_supernet_as_it_was(digits: ImageData) -> None:
    search = exploration(evaluator=SharedWeights(weights_epochs=0.5, batches=1))
    quiet_trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=0).fit(
        search, datamodule=digits
    )
    before = {name: value.clone() for name, value in search.state_dict().items()}
    architecture = search.space.first_architecture()
    first, second = (search.evaluator(search, architecture) for _ in range(2))
    assert first == second
    assert all(torch.equal(before[name], value) for name, value in search.state_dict().items())


def from_scratch(precision: Any, digits: ImageData) -> list[float]:
    seed_everything(0, verbose=False)
    search = exploration(evaluator=FromScratch(steps=80), strategy=RandomSearch(), evaluations=2)
    before = [weight.detach().clone() for weight in search.supernet.weights()]
    run = quiet_trainer(max_epochs=1, limit_val_batches=0, precision=precision)
    run.fit(search, datamodule=digits)
    assert run.global_step == 0
    assert all(torch.equal(a, b) for a, b in zip(search.supernet.weights(), before, strict=True))
    return list(search.known.values())


@pytest.mark.slow
def test_from_scratch_trains_each_architecture_in_any_precision(digits: ImageData) -> None:
    values = from_scratch("32-true", digits)
    assert len(values) == 2 and max(values) > 0.3
    assert from_scratch("bf16-mixed", digits) == values
    assert len(from_scratch("64-true", digits)) == 2


@pytest.mark.slow
def test_a_stopped_exploration_goes_on_as_if_it_had_not(digits_root: str, tmp_path: Path) -> None:
    found = []
    for stop in (None, 2):
        digits = ImageData(root=digits_root, search_batch_size=200)
        seed_everything(3, verbose=False)
        search = exploration(strategy=LocalSearch(), evaluations=20)
        run = quiet_trainer(max_epochs=stop or 4, limit_val_batches=0)
        if stop:
            run.fit(search, datamodule=digits)
            assert 0 < len(search.known) < 20
            run.save_checkpoint(tmp_path / "x.ckpt")
            seed_everything(3, verbose=False)
            search = exploration(strategy=LocalSearch(), evaluations=20)
            run = quiet_trainer(max_epochs=4, limit_val_batches=0)
            digits = ImageData(root=digits_root, search_batch_size=200)
            run.fit(
                search, datamodule=digits, ckpt_path=str(tmp_path / "x.ckpt"), weights_only=True
            )
        else:
            run.fit(search, datamodule=digits)
        found.append(list(search.known.items()))
    assert found[0] == found[1]


def test_nothing_evaluated_is_nothing_found() -> None:
    with pytest.raises(ValueError, match="no architecture was evaluated yet"):
        exploration().derive()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"evaluations": 0}, "evaluations"),
        ({"final_learning_rate": 2.0}, "final_learning_rate"),
        ({"gradient_clip": 0.0}, "gradient_clip"),
    ],
)
def test_bad_settings_get_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exploration(**settings)


def test_no_time_for_an_evaluation_is_said_at_once(digits: ImageData) -> None:
    run = quiet_trainer(max_epochs=1, limit_val_batches=0)
    with pytest.raises(ValueError, match="lower the evaluator's weights_epochs"):
        run.fit(exploration(), datamodule=digits)
    assert run.global_step == 0


def test_a_value_that_is_no_number_is_refused(digits: ImageData) -> None:
    class Lost:
        weights_epochs = 0.0

        def __call__(self, search: Any, architecture: Any) -> float:
            return float("nan")

    with pytest.raises(ValueError, match="Lost returned nan for an architecture"):
        quiet_trainer(max_epochs=1).fit(exploration(evaluator=Lost()), datamodule=digits)
