"""Default optimizers, and the length of a training."""

import pytest
import torch
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.training.optimizers import count_steps, darts_adam, darts_sgd, try_optimizer


def test_the_published_settings() -> None:
    weights = [torch.nn.Parameter(torch.ones(2))]
    (sgd,), (adam,) = (make(weights).param_groups for make in (darts_sgd, darts_adam))
    assert (sgd["lr"], sgd["momentum"], sgd["weight_decay"]) == (0.025, 0.9, 3e-4)
    assert (adam["lr"], adam["betas"], adam["weight_decay"]) == (3e-4, (0.5, 0.999), 1e-3)


def test_what_makes_no_usable_optimizer_is_refused_at_once() -> None:
    try_optimizer("own", torch.optim.AdamW)
    makers = (
        lambda parameters: torch.optim.SGD(parameters, lr=-1.0),
        lambda parameters: torch.optim.SGD(parameters, lr=float("inf")),
        torch.optim.LBFGS,
        lambda parameters: None,
    )
    for make in makers:
        with pytest.raises(ValueError, match="^own does not make an optimizer"):
            try_optimizer("own", make)  # type: ignore[arg-type]


def test_all_steps_of_a_training_are_counted(digits: ImageData) -> None:
    run = quiet_trainer(max_epochs=3, limit_train_batches=2, limit_val_batches=0)
    run.fit(ArchitectureSearch(SMALL), datamodule=digits)
    assert count_steps(run) == 6


def test_a_search_without_end_is_refused(digits: ImageData) -> None:
    with pytest.raises(ValueError, match="set trainer.max_epochs or trainer.max_steps"):
        quiet_trainer(max_epochs=-1).fit(ArchitectureSearch(SMALL), datamodule=digits)
