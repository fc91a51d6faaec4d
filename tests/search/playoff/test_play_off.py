"""The search by real trainings, on real digits."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.runs.precision import choose_precision
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.search.playoff.proposals import CHANGED
from darts_lite.space.layers.layer_space import LayerSpace

SPACE = LayerSpace(
    stem_widths=(4, 6), stages=(2, 1), kernels=(3, 5), widths=(4, 6, 8, 12), expansions=(0, 2),
    placements=("stem 1", "stem 2"),
)  # fmt: skip
BUDGET = WithinBudget(parameters=600, memory=4096)
SIZES: dict[str, Any] = {
    "by_hand": 6,
    "at_random": 2,
    "children": 2,
    "finalists": 2,
}


def play_off(**settings: Any) -> PlayOff:
    seed_everything(0, verbose=False)
    return PlayOff(settings.pop("space", SPACE), derivation=BUDGET, **(SIZES | settings))


def test_the_best_of_many_is_found_within_the_budget(digits: ImageData) -> None:
    search = play_off(cohorts=0, at_random=6, finalists=3)
    run = quiet_trainer(max_epochs=2, limit_val_batches=2)
    run.fit(search, datamodule=digits)
    found = search.derive()
    assert search.derivation.admits(SPACE, found) and search.space.build(found.choices)
    assert found.found_by["trainings"] == len(search.known) >= 8
    assert found.found_by["origin"] in set(search.known.values())
    assert len(search.contenders) == 3  # finalists
    assert run.callback_metrics["search/best_loss"] < 2.2
    assert run.callback_metrics["search/validation_accuracy"] > 0.2
    assert list(search.results()) == ["trainings"]


def test_nets_go_on_from_their_own_weights(digits: ImageData) -> None:
    search = play_off(cohorts=0)
    run = quiet_trainer(max_epochs=1, limit_train_batches=16, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    assert run.global_step == 16
    (optimizer,) = run.optimizers
    assert len(optimizer.param_groups) == len(search.contenders) == 2
    steps = {int(state["step"]) for state in optimizer.state.values()}
    assert steps == {16}  # 2 and 2 and 4 in the cohort, 8 in the final
    assert len(optimizer.state) == sum(len(each.weights()) for each in search._all)


def test_finals_begin_where_there_is_no_child(digits: ImageData) -> None:
    few = LayerSpace((3,), (4,), (1,), (3,), (4, 8), (0,), ("stem", "1"), ("off",), (1,))
    search = play_off(space=few, by_hand=0, at_random=30)
    run = quiet_trainer(max_epochs=1, limit_train_batches=24, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    assert run.global_step == 24 and len(search.known) == 4  # all there are
    assert not any("was ended in heat" in doubt for doubt in search.doubts())
    assert {int(state["step"]) for state in run.optimizers[0].state.values()} == {24}


def test_children_train_at_the_rate_that_the_search_has_come_to(digits: ImageData) -> None:
    class Halve(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 1:
                for group in trainer.optimizers[0].param_groups:
                    group["lr"] /= 2

    search = play_off()
    run = quiet_trainer(
        max_epochs=1, limit_train_batches=24, limit_val_batches=0, callbacks=[Halve()]
    )
    run.fit(search, datamodule=digits)
    assert any(origin.endswith(CHANGED) for origin in search.known.values())
    assert {group["lr"] for group in run.optimizers[0].param_groups} == {0.0075}


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "64-true"])
def test_other_precisions(precision: str, digits: ImageData) -> None:
    search = play_off(cohorts=0, by_hand=3, at_random=0)
    settings = choose_precision("cpu", precision)
    run = quiet_trainer(max_steps=12, max_epochs=2, limit_val_batches=1, **settings)
    run.fit(search, datamodule=digits)
    assert search.has_chosen and search.derivation.admits(SPACE, search.derive())
    assert all(weight.isfinite().all() for weight in search.weights())
    assert max(each.value for each in search._all) > -2.5


def test_cells_are_searched_as_well(digits: ImageData) -> None:
    search = PlayOff(SMALL, **SIZES | {"cohorts": 0})
    quiet_trainer(max_epochs=1, limit_train_batches=8, limit_val_batches=0).fit(
        search, datamodule=digits
    )
    assert search.derive().found_by["origin"].startswith("random")


def test_a_budget_without_nets_is_named(digits: ImageData) -> None:
    search = PlayOff(SPACE, derivation=WithinBudget(parameters=20), **SIZES)
    with pytest.raises(ValueError, match="has at most 20 parameters; its architectures have"):
        quiet_trainer(max_epochs=1).fit(search, datamodule=digits)


def test_too_short_a_search_is_named(digits: ImageData) -> None:
    with pytest.raises(ValueError, match="the search has 3 steps, but a play-off"):
        quiet_trainer(max_epochs=1, limit_train_batches=3).fit(play_off(), datamodule=digits)
    with pytest.raises(ValueError, match="the first cohort of the play-off has not ended yet"):
        play_off().derive()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"children": 0}, "children must be at least 1, got 0"),
        ({"cohorts": -1}, "cohorts must be at least 0, got -1"),
        ({"by_hand": -1}, "by_hand must be at least 0, got -1"),
        ({"by_hand": 0, "at_random": 0}, "needs nets to begin with"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play_off(**settings)


def test_all_nets_see_the_same_batches_and_are_clipped_alone(digits: ImageData) -> None:
    search = play_off(gradient_clip=1e-6)
    run = quiet_trainer(max_epochs=1, limit_train_batches=16, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    for each in search._all:
        norms = [weight.grad.norm() for weight in each.weights() if weight.grad is not None]
        assert torch.stack(norms).norm() <= 1.01e-6
