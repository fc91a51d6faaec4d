"""The loss that classifiers are trained by."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from darts_lite.data.class_balance import balance

ClassWeights = Literal["balanced"] | None
"""How images count in a loss: each alike, or the more the rarer their class is."""


class ClassLoss(nn.Module):
    """The mean cross-entropy of a batch, in which rare classes may count for more.

    Weights are kept with the module's other state, so a training that goes on has the same.

    Args:
        classes: Number of classes.
        class_weights: ``balanced`` weighs an image by the inverse of its class' share of the
            training images, with a mean of 1 over them; None weighs all alike.
        label_smoothing: Share of the target that is spread over all classes alike.
    """

    weights: Tensor | None

    def __init__(
        self, classes: int, class_weights: ClassWeights = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        if class_weights not in (None, "balanced"):
            raise ValueError(f"class_weights must be balanced or null, got {class_weights!r}")
        self.label_smoothing = label_smoothing
        self.register_buffer("weights", None if class_weights is None else torch.ones(classes))

    def know_data(self, data: Any) -> None:
        """Sets the weights by the training images of a `darts_lite.ImageData`, once it is set up.

        Raises ValueError if they are wanted and the data does not tell its numbers of images.
        """
        if self.weights is None:
            return
        if not hasattr(data, "class_counts"):
            raise ValueError(
                "class_weights needs a darts_lite.ImageData as the trainer's datamodule; or set it "
                "to null"
            )
        self.weights.copy_(balance(data.class_counts))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Computes the loss of logits ``(B, classes)``.

        Targets are labels ``(B,)``, or probabilities ``(B, classes)``.
        """
        check_shapes(logits, targets)
        # Not torch's weighted mean, which divides by the weights of the batch: parts of a joint
        # batch would then count differently on each rank.
        smoothing = self.label_smoothing
        loss = cross_entropy(
            logits, targets, self.weights, reduction="sum", label_smoothing=smoothing
        )
        return loss / len(logits)


def weigh_classes(loss: nn.Module, data: Any) -> None:
    """Sets the weights of a loss that weighs classes; does nothing to others."""
    if isinstance(loss, ClassLoss):
        loss.know_data(data)


class CrossEntropy(nn.CrossEntropyLoss):
    """The plain mean cross-entropy of a batch."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        check_shapes(input, target)
        return super().forward(input, target)


def check_shapes(answers: Tensor, targets: Tensor) -> None:
    """Raises ValueError if answers do not belong to targets.

    Targets that are numbers have the shape of the answers; labels ``(B, …)`` want logits
    ``(B, classes, …)``.
    """
    shape = tuple(answers.shape)
    rest = shape if targets.is_floating_point() else (*shape[:1], *shape[2:])
    if rest != tuple(targets.shape) or len(shape) < 2:
        kind = "numbers" if targets.is_floating_point() else "labels"
        wanted = "the same shape" if targets.is_floating_point() else "(B, classes, …) for (B, …)"
        raise ValueError(
            f"the net answers with the shape {shape}, and the targets are {kind} of the shape "
            f"{tuple(targets.shape)}; it must be {wanted}"
        )
