"""A search that is paid for keeping within its limits, on real digits."""

from typing import Any

import pytest
import torch
from lightning.pytorch import seed_everything
from run_helpers import fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.budget_penalty import BudgetPenalty, OverBudget
from darts_lite.search.relaxations import GumbelMax
from darts_lite.space.layers.layer_space import LayerSpace

SPACE = LayerSpace(stages=(2,), stem_widths=(4, 8), widths=(4, 8, 16), placements=("stem 1",))
LIMITS: dict[str, Any] = {"parameters": 500, "multiply_adds": 10**8}


def adam(parameters: object) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.1)  # type: ignore[arg-type]


def search_within(
    digits: ImageData, *penalties: BudgetPenalty, warmup: float = 0.25
) -> ArchitectureSearch:
    seed_everything(0, verbose=False)
    search = ArchitectureSearch(
        SPACE,
        derivation=WithinBudget(**LIMITS),
        relaxation=GumbelMax(),
        weights_optimizer=fast_sgd,
        alphas_optimizer=adam,
        warmup_epochs=warmup,
    )
    run = quiet_trainer(max_steps=32, limit_val_batches=1, callbacks=[*penalties])
    run.fit(search, datamodule=digits)
    return search


def test_expected_costs_come_within_the_limits(digits: ImageData) -> None:
    free = search_within(digits).measure_alphas()
    penalty = BudgetPenalty()
    search = search_within(digits, penalty)
    within = search.measure_alphas()
    assert free["budget/parameters"] > 1.2 and free["budget/multiply_adds"] < 0.1
    assert within["budget/parameters"] < min(1.05, free["budget/parameters"])
    assert search.derivation.admits(SPACE, search.derive())
    assert penalty.loss is not None and 0.5 < penalty.loss < 4 and 0 < penalty.began < 1
    again = BudgetPenalty()
    again.load_state_dict(penalty.state_dict())
    assert (again.loss, again.began) == (penalty.loss, penalty.began)


def test_a_search_without_a_warm_up_pays_as_well(digits: ImageData) -> None:
    penalty = BudgetPenalty()
    within = search_within(digits, penalty, warmup=0.0).measure_alphas()
    free = search_within(digits, warmup=0.0).measure_alphas()
    assert penalty.loss is not None
    assert within["budget/parameters"] < 0.9 * free["budget/parameters"]


def test_it_is_nothing_within_the_limits_and_rises_above() -> None:
    limits = WithinBudget(parameters=500, memory=10**6).with_data(1, 10, 28)
    search = ArchitectureSearch(SPACE, derivation=limits, relaxation=GumbelMax())
    owner, alphas = BudgetPenalty(), dict(search.supernet.alphas.items())
    penalty, use = OverBudget(owner, search), search.measure_alphas()
    assert use["budget/memory"] < 1 < use["budget/parameters"]
    assert penalty.penalty(alphas, 0.5) == 0  # before the loss is known
    owner.loss, owner.began = 2.0, 0.2
    assert penalty.penalty(alphas, 0.2) == 0
    expected = 2.0 * 10 * 0.5 * (use["budget/parameters"] - 1)
    assert float(penalty.penalty(alphas, 0.6).detach()) == pytest.approx(expected, rel=1e-5)
    search.derivation = WithinBudget(parameters=10**6).with_data(1, 10, 28)
    assert penalty.penalty(alphas, 1.0) == 0
