"""Tasks of users: losses and metrics, and what of them is refused."""

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from own_tasks import NUMBERS, Digits, Small
from run_helpers import SMALL, one_line, quiet_trainer
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, R2Score
from torchmetrics.classification import MulticlassF1Score, MultilabelF1Score

from darts_lite import (
    ArchitectureSearch,
    Exploration,
    FromScratch,
    ImageData,
    PairedData,
    Retraining,
    SharedWeights,
    Task,
)
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.run_record import ACCURACY
from darts_lite.training.task import Goal, list_own_modules, measure, read_task, update


class Quiet(nn.Module):
    """A loss that gives a number for each image."""

    def forward(self, answers: Tensor, targets: Tensor) -> Tensor:
        return (answers - targets).abs()


class Total(nn.Module):
    """A loss that gives the sum over a batch."""

    def forward(self, answers: Tensor, targets: Tensor) -> Tensor:
        return (answers - targets).square().sum()


class Learned(nn.Module):
    """A loss with a parameter that nothing would train."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, answers: Tensor, targets: Tensor) -> Tensor:
        return self.scale * (answers - targets).square().mean()


class Two(MeanAbsoluteError):
    """A metric of two numbers."""

    def compute(self) -> Tensor:
        return super().compute().expand(2)


class Unclear(MeanAbsoluteError):
    higher_is_better = None  # type: ignore[assignment]


def test_classes_and_their_paths_are_the_same() -> None:
    task = Task(nn.MSELoss, MeanAbsoluteError)
    assert Task(**task.to_dict()) == task == read_task(task.to_dict())
    goal = Goal.of(task, 1)
    assert isinstance(goal.metric, MeanAbsoluteError) and not goal.score.larger_is_better
    answers, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.0]])
    assert float(goal.loss(answers, targets)) == 2.0
    assert measure(goal.metric, answers, targets) == 1.0
    assert (
        Goal.of(None, 10).score == ACCURACY
        and Goal.of(Task(nn.MSELoss, R2Score), 1).score.sign == 1
    )


def test_labels_of_zero_and_one_serve_loss_and_metric() -> None:
    metric = MultilabelF1Score(num_labels=3)
    update(metric, torch.tensor([[9.0, -9, 9]]), torch.tensor([[1.0, 0, 1]]))
    assert float(metric.compute()) == pytest.approx(2 / 3)  # one of three is absent


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "torch.nn.MSELos"}, ("task.loss", "no 'MSELos'", "torch.nn.MSELoss?")),
        ({"loss": "os.system"}, ("task.loss", "os.system", "no class of that kind")),
        ({"metric": "torch.nn.MSELoss"}, ("task.metric", "torchmetrics")),
        ({"loss_settings": {"weights": 1}}, ("torch.nn.MSELoss", "weights")),
        ({"metric": "test_task.Unclear"}, ("larger_is_better",)),
        ({"larger_is_better": True}, ("larger_is_better", "the opposite")),
        ({"loss": "test_task.Learned"}, ("Learned", "parameters")),
        ({"loss_settings": {"reduction": "sum"}}, ("reduction", "mean")),
    ],
)
def test_what_cannot_be_built_is_one_line(settings: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as error:
        Goal.of(Task(**{**NUMBERS.to_dict(), **settings}), 1)
    one_line(error, *words)


def test_nothing_is_imported_for_a_name_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    with pytest.raises(ValueError, match="run.imports"):
        Goal.of(Task("antigravity.Loss", "torchmetrics.R2Score"), 1)
    assert "antigravity" not in sys.modules
    with pytest.raises(ValueError, match="lose"):
        read_task({"lose": "torch.nn.MSELoss"})


def test_own_modules_are_told() -> None:
    task = Task("my_task.Loss", "torchmetrics.R2Score").to_dict()
    assert list_own_modules(task) == ["my_task"]
    assert isinstance(sys.modules["torchmetrics"], ModuleType)


@pytest.mark.parametrize(
    ("loss", "answers", "targets", "words"),
    [
        (nn.MSELoss, (4, 1), torch.zeros(4), ("(4, 1)", "(4,)", "the same shape")),
        (nn.CrossEntropyLoss, (4, 3, 2), torch.zeros(4, dtype=torch.long), ("(B, classes, …)",)),
        ("test_task.Quiet", (4, 1), torch.zeros(4, 1), ("Quiet", "(4, 1)", "mean")),
        ("test_task.Quiet", (4,), torch.zeros(4, 1), ("(4,)", "(4, 1)", "all others")),
        ("test_task.Total", (4, 1), torch.ones(4, 1), ("Total", "sum", "mean")),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(
    loss: Any, answers: tuple[int, ...], targets: Tensor, words: tuple[str, ...]
) -> None:
    goal = Goal.of(Task(loss, MeanAbsoluteError), 1)
    with pytest.raises(ValueError) as error:
        goal.loss(torch.zeros(answers), targets)
    one_line(error, *words)


def test_a_metric_of_several_numbers_is_refused_at_the_first_batch() -> None:
    goal = Goal.of(Task(nn.MSELoss, Two), 1)
    with pytest.raises(ValueError) as error:
        goal.loss(torch.ones(4, 1), torch.zeros(4, 1))
    one_line(error, "Two", "one number")


@pytest.mark.parametrize(
    "setting",
    [
        {"mixup": 0.2},
        {"test_shifts": 1},
        {"smallest_side": 0.5},
        {"class_weights": "balanced"},
        {"label_smoothing": 0.1},
    ],
)
def test_a_recipe_for_classes_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as error:
        Retraining("DARTS_V2", channels=2, cells=3, task=NUMBERS, **setting)
    one_line(error, next(iter(setting)))


@pytest.mark.parametrize("evaluator", [SharedWeights(1.0, 1), FromScratch(4, 0.01)])
def test_the_smaller_error_is_the_better_net(evaluator: Any) -> None:
    search = Exploration(
        Small, num_classes=1, image_size=28, evaluator=evaluator, evaluations=4, task=NUMBERS
    )
    trainer = quiet_trainer(max_epochs=2, limit_val_batches=0)
    trainer.fit(search, datamodule=PairedData(Digits, search_batch_size=10))
    assert len(search.known) == 4
    assert all(value <= 0 for value in search.known.values())  # errors, negated
    assert search.best == max(search.known, key=search.known.__getitem__)


def test_classes_may_have_another_loss_and_another_metric(digits: ImageData, tmp_path: Any) -> None:
    task = Task(
        "torch.nn.MultiMarginLoss",
        MulticlassF1Score,
        metric_settings={"num_classes": 10, "average": "macro"},
    )
    search = ArchitectureSearch(SMALL, task=task)
    run = quiet_trainer(max_epochs=1, limit_train_batches=4, limit_val_batches=1)
    run.fit(search, datamodule=digits)
    assert 0 <= run.callback_metrics["search/validation_score"] <= 1
    assert "search/weights_accuracy" not in run.callback_metrics
    run.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    again = Checkpoint.read(tmp_path / "a.ckpt").build(ArchitectureSearch)
    assert again.task == task and again.derive() == search.derive()
