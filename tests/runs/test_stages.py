"""The stages of a run."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from run_helpers import SMALL, one_line, quiet_trainer
from torch import nn
from training_helpers import At

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.networks.net import Net
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import stages
from darts_lite.runs.stages import multiply_adds, train
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import Search
from darts_lite.search.exploration.evaluators import SharedWeights
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.space.cells.architecture import Architecture
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import RunRecord
from darts_lite.training.callbacks import find_callback
from darts_lite.training.checkpointing import AtomicCheckpointIO, StageCheckpoint
from darts_lite.training.nonfinite import NonFiniteGuard, NotFinite
from darts_lite.training.signals import SIGNALS


@pytest.fixture(autouse=True)
def same_handlers() -> Iterator[None]:
    """Stages leave signals to who calls them; see `stages.pass_on_signals`."""
    before = {name: signal.getsignal(name) for name in map(signal.Signals.__getitem__, SIGNALS)}
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


def test_multiply_adds_of_a_net_counted_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),  # 14 * 14 * 4 * 9
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # 14 * 14 * 4 * 9
        nn.Flatten(),
        nn.Linear(14 * 14 * 4, 10),
    ).train()
    assert multiply_adds(net, (1, 28, 28)) == 2 * 14 * 14 * 4 * 9 + 14 * 14 * 4 * 10
    assert net.training


def test_counting_changes_no_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    multiply_adds(net, (1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_search_that_has_ended_is_derived_again_within_its_budget(
    digits: ImageData, tmp_path: Path
) -> None:
    def search() -> ArchitectureSearch:
        return ArchitectureSearch(SMALL, derivation=WithinBudget(multiply_adds=10**7))

    last = tmp_path / "checkpoints" / "last.ckpt"
    saving = {"callbacks": [StageCheckpoint(last)], "enable_checkpointing": True}
    trainer = quiet_trainer(max_epochs=1, limit_train_batches=2, **saving)
    record = RunRecord(RunFolder(tmp_path))
    found, results = stages.search(trainer, search(), digits, record)
    elsewhere = RunRecord(RunFolder(tmp_path / "again"))
    assert stages.search(quiet_trainer(), search(), digits, elsewhere, last) == (found, results)
    left = [folder / "architecture.json" for folder in (tmp_path, tmp_path / "again")]
    assert Architecture.load(left[0]) == Architecture.load(left[1])


def ended(digits: ImageData, folder: Path, model: Search) -> tuple[str, int]:
    """The error of a search that ends in its warm-up, and the step that its checkpoint is at."""
    record = RunRecord(RunFolder(folder))
    saving = StageCheckpoint(record.folder.checkpoint("search"))
    stop = At(4, lambda: setattr(trainer, "should_stop", True))
    trainer: Trainer = quiet_trainer(
        max_epochs=2,
        callbacks=[saving, stop],
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=True,
    )
    with pytest.raises(ValueError) as refused:
        stages.search(trainer, model, digits, record)
    one_line(refused, "told architectures apart", saving.path)
    assert not record.folder.architecture.exists()
    return str(refused.value), Checkpoint.read(saving.path).content["global_step"]


def by_gradients() -> Search:
    return ArchitectureSearch(SMALL, warmup_epochs=1.0)


def by_evaluations() -> Search:
    return Exploration(SMALL, evaluator=SharedWeights(weights_epochs=1.0, batches=1))


@pytest.mark.parametrize("make", [by_gradients, by_evaluations])
def test_a_search_that_chose_nothing_hands_nothing_on_and_keeps_its_weights(
    make: Callable[[], Search], digits: ImageData, tmp_path: Path
) -> None:
    said, step = ended(digits, tmp_path, make())
    assert step == 4 and "ended after 4 steps" in said


def test_an_auxiliary_head_is_no_part_of_what_is_handed_on(
    digits: ImageData, tmp_path: Path
) -> None:
    architecture = ArchitectureSearch(SMALL).derive()
    model = Retraining(architecture, auxiliary_weight=0.4)
    saving = {"callbacks": [StageCheckpoint(tmp_path / "last.ckpt")], "enable_checkpointing": True}
    trainer = quiet_trainer(max_epochs=1, limit_train_batches=2, **saving)
    results = stages.retrain(trainer, model, digits, RunFolder(tmp_path))
    counted = sum(weights.numel() for weights in Net(architecture, 1, 10).parameters())
    assert results["params"] == counted < sum(w.numel() for w in model.net.parameters())


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


@pytest.mark.parametrize(
    ("stage", "every_steps"),
    [
        ("search", 3),
        ("retraining", None),
        pytest.param("search", None, marks=pytest.mark.slow),
        pytest.param("retraining", 3, marks=pytest.mark.slow),
    ],
)
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
            StageCheckpoint(path, every_steps, at_start=True),
            NonFiniteGuard(path, rollbacks=2),
            LearningRateMonitor(),
        ],
        plugins=[AtomicCheckpointIO()],
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
        callbacks=[StageCheckpoint(path, at_start=True), NonFiniteGuard(path, rollbacks=2)],
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=True,
    )
    with pytest.raises(NotFinite, match="is (nan|inf) in step .* run.max_rollbacks, as 2 were"):
        train(run, search, digits, None)
    finite = find_callback(run, NonFiniteGuard)
    assert finite is not None and finite.lowered == 2
