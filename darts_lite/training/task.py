"""Tasks of nets: a loss that trains them, and a metric that tells how good they are."""

import math
from dataclasses import asdict, dataclass, field
from reprlib import repr as short
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from darts_lite.distributed.ranks import average
from darts_lite.storage.components import build_loaded, class_path
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
    """Task of nets in the place of one class for each image: a loss and a metric of one's own.

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
        return cast(nn.Module, build_loaded("task.loss", self.loss, self.loss_settings, nn.Module))

    def build_metric(self) -> Metric:
        """Builds the metric; raises ValueError if it is unknown or cannot be built."""
        return cast(Metric, build_loaded("task.metric", self.metric, self.metric_settings, Metric))

    def describe(self, metric: Metric) -> Score:
        """Returns what its scores are; raises ValueError if nothing says which are better."""
        known, larger = metric.higher_is_better, self.larger_is_better
        if None not in (known, larger) and known != larger:
            raise ValueError(
                f"task.larger_is_better is {larger}, and {self.metric} says the opposite of "
                "itself; leave it out"
            )
        larger = known if larger is None else larger
        if larger is None:
            raise ValueError(
                f"{self.metric} does not tell whether larger values are better; set "
                "task.larger_is_better"
            )
        return Score("score", str(self.metric).rpartition(".")[2], bool(larger))


class TaskLoss(nn.Module):
    """A loss of the user's. Its first batch is tried: what would be silently wrong is refused.

    Args:
        inner: The loss.
        metric: The metric that is told beside it.

    Raises:
        ValueError: from `forward`, if answers do not belong to targets, if the loss is not the mean
            of a batch, or the metric not one number.
    """

    def __init__(self, inner: nn.Module, metric: Metric) -> None:
        super().__init__()
        self.inner, self._metric = inner, [metric]  # a list, so that it is no part of this module
        self._tried = False
        if any(parameter.requires_grad for parameter in inner.parameters()):
            raise ValueError(
                f"task.loss: {type(inner).__name__} has parameters, and nothing would train them; "
                "put them into the network, or keep them as buffers"
            )
        if getattr(inner, "reduction", "mean") != "mean":
            raise ValueError(
                f"task.loss: reduction is {inner.reduction!r}, and the loss of a batch must be the "
                "mean, as batches may have any size"
            )

    def forward(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Computes the mean loss of answers and targets ``(B, …)``."""
        if not isinstance(answers, Tensor):
            raise ValueError(f"the net must answer with a tensor, not a {type(answers).__name__}")
        if type(self.inner).__module__ == OF_TORCH:
            check_shapes(answers, targets)
        elif targets.is_floating_point() and answers.ndim != targets.ndim:
            raise ValueError(
                f"the net answers with the shape {tuple(answers.shape)}, and the targets have "
                f"{tuple(targets.shape)}; with another number of sizes each answer would meet the "
                "targets of all others"
            )
        loss: Any = self.inner(answers, targets)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(
                f"task.loss: {type(self.inner).__name__} gives {got}; it must give the mean of a "
                "batch, a tensor of one number"
            )
        if not self._tried:
            self._tried = True
            self._try(answers.detach(), targets, float(loss.detach()))
        return loss

    @torch.no_grad()
    def _try(self, answers: Tensor, targets: Tensor, loss: float) -> None:
        with torch.random.fork_rng([answers.device] if answers.is_cuda else []):
            twice = float(self.inner(torch.cat([answers] * 2), torch.cat([targets] * 2)))
        if loss and math.isclose(twice, 2 * loss, rel_tol=1e-3):
            raise ValueError(
                f"task.loss: {type(self.inner).__name__} gives the sum over a batch; it must give "
                "the mean, as batches may have any size"
            )
        measure(self._metric[0], answers, targets)


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
        return cls(TaskLoss(task.build_loss(), metric), metric, task.describe(metric))


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
    try:
        metric.update(answers, targets)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"task.metric: {type(metric).__name__} does not take answers of the shape "
            f"{tuple(answers.shape)} with targets of {tuple(targets.shape)}: {error}"
        ) from error


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
    value = own.compute()
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(
            f"task.metric: {type(metric).__name__} gives {short(value)}; it must give a tensor of "
            "one number"
        )
    return float(value)


def list_own_modules(task: Any) -> list[str]:
    """Returns the modules of a task's loss and metric, as a configuration names them."""
    paths = [str(task.get(name)) for name in ("loss", "metric")]
    modules = [path.rpartition(".")[0] for path in paths]
    return [name for name in modules if name and name.partition(".")[0] not in LIBRARIES]
