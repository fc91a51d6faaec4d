"""What nets learn: a loss that trains them, and a metric that tells how good they are."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from reprlib import repr as short
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from darts_lite.distributed.ranks import average
from darts_lite.storage.components import class_path
from darts_lite.storage.run_record import ACCURACY, Score
from darts_lite.training.class_loss import ClassLoss, CrossEntropy, check_shapes

OF_TORCH = "torch.nn.modules.loss"
"""Module of torch's losses, some of which accept answers and targets of different shapes."""
OF_LABELS = ("torchmetrics.classification", "torchmetrics.segmentation")
"""Modules of metrics that want whole numbers, where the losses want 0.0 and 1.0."""
LIBRARIES = ("torch", "torchmetrics")
"""Packages that are imported anyway."""


@dataclass(frozen=True)
class Task:
    """What nets learn in the place of one class for each image: a loss and a metric of one's own.

    Args:
        loss: Class of the loss, or its path, as ``torch.nn.MSELoss``: a module that maps answers
            and targets ``(B, …)`` to their mean loss.
        metric: Class of a torchmetrics metric that gives one number, or its path.
        loss_settings: Arguments of the loss, as plain values.
        metric_settings: Arguments of the metric, likewise.
        larger_is_better: Whether a larger value of the metric is better, if it does not say so
            itself.
    """

    loss: str | type[nn.Module]
    metric: str | type[Metric]
    loss_settings: dict[str, Any] = field(default_factory=dict)
    metric_settings: dict[str, Any] = field(default_factory=dict)
    larger_is_better: bool | None = None

    def __post_init__(self) -> None:
        for name in ("loss", "metric"):
            kind = getattr(self, name)
            if isinstance(kind, type):
                object.__setattr__(self, name, class_path(kind))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as checkpoints hold them."""
        return asdict(self)

    def build_loss(self) -> nn.Module:
        """Builds the loss; raises ValueError if it is unknown or cannot be built."""
        return TaskLoss(_build("loss", self.loss, self.loss_settings, nn.Module))

    def build_metric(self) -> Metric:
        """Builds the metric; raises ValueError if it is unknown or cannot be built."""
        metric = _build("metric", self.metric, self.metric_settings, Metric)
        if not isinstance(metric, Metric):
            raise ValueError(f"task.metric: {self.metric} builds no torchmetrics metric")
        return metric

    def describe(self, metric: Metric) -> Score:
        """Returns what its scores are; raises ValueError if nothing says which are better."""
        larger = self.larger_is_better
        if larger is None:
            larger = metric.higher_is_better
        if larger is None:
            raise ValueError(
                f"{self.metric} does not tell whether larger values are better; set "
                "task.larger_is_better"
            )
        return Score("score", str(self.metric).rpartition(".")[2], bool(larger))


class TaskLoss(nn.Module):
    """A loss of the user's; shapes that one of torch would stretch silently are refused."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Computes the mean loss of answers and targets ``(B, …)``."""
        if type(self.inner).__module__ == OF_TORCH:
            check_shapes(answers, targets)
        loss: Tensor = self.inner(answers, targets)
        if loss.numel() != 1:
            raise ValueError(
                f"task.loss: {type(self.inner).__name__} gives {tuple(loss.shape)} numbers; it "
                "must give the mean of a batch"
            )
        return loss


class Goal(NamedTuple):
    """The parts that a training needs of what it is to learn.

    Attributes:
        loss: Maps answers and targets to the mean loss of a batch.
        metric: Collects answers and targets, and gives one number.
        score: What this number is.
    """

    loss: nn.Module
    metric: Metric
    score: Score

    @classmethod
    def of(cls, task: Task | None, num_classes: int, loss: nn.Module | None = None) -> "Goal":
        """Returns the goal of a task; without one, that of telling classes apart.

        Args:
            loss: Loss of classes, if not the plain cross-entropy.
        """
        if task is None:
            return cls(
                loss or CrossEntropy(), MulticlassAccuracy(num_classes, average="micro"), ACCURACY
            )
        if isinstance(loss, ClassLoss) and (loss.weights is not None or loss.label_smoothing):
            raise ValueError(
                "class_weights and label_smoothing belong to classes, and the task has its own "
                "loss; set them to null and 0"
            )
        metric = task.build_metric()
        return cls(task.build_loss(), metric, task.describe(metric))


TaskSettings = Task | dict[str, Any] | None
"""Type of a task in a configuration and in a checkpoint."""


def read_task(value: TaskSettings) -> Task | None:
    """Returns a task unchanged, or builds one from `Task.to_dict`."""
    if value is None or isinstance(value, Task):
        return value
    try:
        return Task(**value)
    except TypeError as error:
        raise ValueError(f"task: {error}; it has loss, metric and their settings") from error


def update(metric: Metric, answers: Tensor, targets: Tensor) -> None:
    """Adds answers and targets ``(B, …)`` to a metric, labels as whole numbers if it wants them."""
    if type(metric).__module__.startswith(OF_LABELS) and targets.is_floating_point():
        targets = targets.long()
    metric.update(answers, targets)


def tell_batch(
    task: Task | None, answers: Tensor, targets: Tensor, loss: Tensor
) -> dict[str, Tensor]:
    """Returns what is told of a batch of all ranks: loss and, where there are classes, accuracy."""
    told = {"loss": loss.detach()}
    if task is None:
        told["accuracy"] = (answers.detach().argmax(dim=1) == targets).float().mean()
    return dict(zip(told, average(*told.values()), strict=True))


@torch.no_grad()
def measure(metric: Metric, answers: Tensor, targets: Tensor) -> float:
    """Computes a metric of all answers and targets ``(N, …)``; the metric itself stays as it is."""
    own = metric.clone().to(answers.device)
    own.reset()
    update(own, answers, targets)
    return float(own.compute())


def list_own_modules(task: Any) -> list[str]:
    """Returns the modules of a task's loss and metric, as a configuration names them."""
    paths = [str(task.get(name)) for name in ("loss", "metric")]
    modules = [path.rpartition(".")[0] for path in paths]
    return [name for name in modules if name and name.partition(".")[0] not in LIBRARIES]


def _build(what: str, path: object, settings: Mapping[str, Any], base: type) -> Any:
    """Builds an object of a class that is loaded already; a file of unknown origin may name it."""
    module, _, name = str(path).rpartition(".")
    kind = getattr(sys.modules.get(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ValueError(
            f"task.{what}: unknown class {short(path)}; name a subclass of {class_path(base)}, "
            f"module.Name, whose module is imported (run.imports: [{module or 'my_task'}])"
        )
    try:
        return kind(**settings)
    except Exception as error:  # whatever a class of somebody else raises
        raise ValueError(
            f"task.{what}: {path} cannot be built with {dict(settings)}: "
            f"{type(error).__name__}: {error}"
        ) from error
