"""Trainings that go wrong and go back, on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from runs import SMALL, quiet_trainer

from darts_lite.data import ImageData
from darts_lite.finite import FiniteNumbers, NotFinite
from darts_lite.retraining import Retraining
from darts_lite.saving import Saving, WholeFiles
from darts_lite.search import ArchitectureSearch
from darts_lite.training import callback_of, train


def wild(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1e30)


def overshooting(parameters: Any) -> torch.optim.Optimizer:
    """Learns with rates that are too high, but not when they are halved twice."""
    return Bounded(parameters, lr=0.1, momentum=0.9)


def highest_rate(optimizer: torch.optim.Optimizer) -> float:
    group = optimizer.param_groups[0]
    return group.get("max_lr", group["initial_lr"])


class Bounded(torch.optim.SGD):
    """Leaves no numbers where its rate is above 0.03 after some steps."""

    steps, limit = 0, 0.03

    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        self.steps += 1
        if self.steps > 5 and highest_rate(self) > self.limit:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("nan"))
        return result


@pytest.mark.parametrize("stage", ["search", "retraining"])
@pytest.mark.parametrize("every_steps", [None, 3])
def test_a_training_goes_back_and_on_with_lower_rates(
    stage: str,
    every_steps: int | None,
    digits: ImageData,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=overshooting)
    net = Retraining(search.derive(), optimizer=overshooting, schedule="one_cycle", ema_decay=0.9)
    path = tmp_path / "checkpoints" / "last.ckpt"
    run = quiet_trainer(
        max_epochs=1,
        limit_train_batches=12,
        callbacks=[
            Saving(path, every_steps, at_start=True),
            FiniteNumbers(path, rollbacks=2),
            LearningRateMonitor(),
        ],
        plugins=[WholeFiles()],
        enable_checkpointing=True,
        logger=CSVLogger(tmp_path),
    )
    model = search if stage == "search" else net
    assert train(run, model, digits, None).rollbacks == 2
    assert run.global_step == 12
    assert highest_rate(run.optimizers[0]) == pytest.approx(0.1 / 4)
    assert all(value.isfinite().all() for value in model.state_dict().values())
    lines = [line for line in capsys.readouterr().out.splitlines() if "back to" in line]
    assert [line[-22:] for line in lines] == [f"({n} of at most 2 times)" for n in (1, 2)]


def test_a_training_goes_back_only_so_often(digits: ImageData, tmp_path: Path) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=wild)
    path = tmp_path / "checkpoints" / "last.ckpt"
    run = quiet_trainer(
        max_epochs=1,
        callbacks=[Saving(path, at_start=True), FiniteNumbers(path, rollbacks=2)],
        plugins=[WholeFiles()],
        enable_checkpointing=True,
    )
    with pytest.raises(NotFinite, match="is (nan|inf) in step .* run.max_rollbacks, as 2 were"):
        train(run, search, digits, None)
    finite = callback_of(run, FiniteNumbers)
    assert finite is not None and finite.lowered == 2
