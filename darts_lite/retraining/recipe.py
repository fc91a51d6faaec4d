"""Additions to the plain training of a net: schedules, mixed and smaller images.

`benchmarks/ablation.py` measures which of these help on digits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from darts_lite.training.class_loss import ClassWeights

WARM_SHARE = 0.1
"""Share of all steps during which the learning rate of ``warm_cosine`` grows."""


def _make_one_cycle(optimizer: Optimizer, steps: int) -> LRScheduler:
    group = optimizer.param_groups[0]
    turns = bool(group.get("momentum") or group.get("betas"))
    return OneCycleLR(optimizer, group["lr"], total_steps=steps + 1, cycle_momentum=turns)


def warm_cosine(progress: float) -> float:
    """Returns the share of the learning rate: a linear rise, then half a cosine down to 0."""
    if progress < WARM_SHARE:
        return progress / WARM_SHARE
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_SHARE) / (1 - WARM_SHARE)))


SCHEDULES: Mapping[str, Callable[[Optimizer, int], LRScheduler]] = {
    "one_cycle": _make_one_cycle,
    "cosine": CosineAnnealingLR,
    "warm_cosine": lambda optimizer, steps: LambdaLR(
        optimizer, lambda step: warm_cosine(step / steps)
    ),
}


@dataclass(frozen=True)
class Recipe:
    """The settings of a retraining, as `darts_lite.Retraining` documents them."""

    max_epochs: int
    schedule: str
    label_smoothing: float
    mixup: float
    smallest_side: float
    test_shifts: int
    drop_path: float
    ema_decay: float
    auxiliary_weight: float
    gradient_clip: float
    class_weights: ClassWeights
    quantize: bool

    def __post_init__(self) -> None:
        for name in ("label_smoothing", "drop_path", "ema_decay"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
        if self.max_epochs < 1:
            raise ValueError(f"max_epochs must be at least 1, got {self.max_epochs}")
        if not (0 <= self.auxiliary_weight < math.inf and self.gradient_clip >= 0):
            raise ValueError(
                "auxiliary_weight and gradient_clip must be at least 0, and auxiliary_weight "
                f"finite; got {self.auxiliary_weight} and {self.gradient_clip}"
            )
        if not (0 <= self.mixup < math.inf and 0 < self.smallest_side <= 1):
            raise ValueError(
                "mixup must be at least 0 and finite, and smallest_side above 0 and at most 1; got "
                f"{self.mixup} and {self.smallest_side}"
            )
        if not 0 <= self.test_shifts <= 100:
            raise ValueError(f"test_shifts must be 0 to 100 pixels, got {self.test_shifts}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.schedule!r}; choose from {sorted(SCHEDULES)}")

    def check_task(self) -> None:
        """Raises ValueError if a setting has a sense for classes alone."""
        plain = {"mixup": 0, "test_shifts": 0, "smallest_side": 1, "auxiliary_weight": 0}
        for name, value in plain.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"{name} has a sense for classes alone, and the net has a task of its own; set "
                    f"retraining.{name} to {value}"
                )


def mix_up(images: Tensor, labels: Tensor, classes: int, strength: float) -> tuple[Tensor, Tensor]:
    """Mixes each image and its label with another one of the batch (mixup, arXiv 1710.09412).

    The other one is half a batch away, so that several processes mix the same pairs as one process.

    Args:
        images: ``(B, C, H, W)``, in random order.
        labels: ``(B,)``; probabilities ``(B, classes)`` are returned.
        classes: Number of classes.
        strength: Both parameters of the Beta distribution of the shares, one draw per batch.
    """
    share = float(Beta(strength, strength).sample())
    half = len(images) // 2
    # share * x_i + (1 - share) * x_{i - B / 2}, for images and one-hot labels alike.
    targets = F.one_hot(labels, classes).to(images.dtype)
    return (
        images.lerp(images.roll(half, 0), 1 - share),
        targets.lerp(targets.roll(half, 0), 1 - share),
    )


def compute_side(progress: float, smallest: float, side: int) -> int:
    """Returns the side in pixels to which images are resized: it grows to their own side.

    Progressive resizing, as in arXiv 2104.00298 (section 4.1). The share of the side grows linearly
    from `smallest` to 1 in the first half of the training, whose `progress` goes from 0 to 1.
    """
    share = smallest + (1 - smallest) * min(1.0, 2 * progress)
    return max(1, round(share * side))


def count_shifts(axes: int) -> int:
    """Returns the number of passes of a net over the shifts of a map with so many axes."""
    return 3**axes


def shift_images(images: Tensor, pixels: int) -> list[Tensor]:
    """Returns nine shifts of images ``(B, C, H, W)``, the middle one the images themselves.

    They move by so many pixels along each axis and along both; their border is repeated. Signals,
    which have the height 1, move along time alone: three shifts. Raises ValueError if nothing of
    an image would be left.
    """
    height, width = images.shape[-2:]
    if pixels >= width:
        raise ValueError(f"test_shifts must be below the side of the images, {width}; got {pixels}")
    down = 0 if height == 1 else pixels
    padded = F.pad(images, (pixels, pixels, down, down), mode="replicate")
    rows = (0,) if height == 1 else (0, pixels, 2 * pixels)
    columns = (0, pixels, 2 * pixels)
    return [padded[:, :, y : y + height, x : x + width] for y in rows for x in columns]


def average_over_shifts(net: Callable[[Tensor], Tensor], images: Tensor, pixels: int) -> Tensor:
    """Computes the logarithms of the mean probabilities over shifts, ``(B, classes)``."""
    views = shift_images(images, pixels)
    # log of the mean of exp(log p) over the windows.
    answers = torch.stack([net(view).log_softmax(dim=1) for view in views])  # (views, B, classes)
    return answers.logsumexp(dim=0) - math.log(len(views))


def make_exponential_average(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Returns an update of averaged tensors: ``a += (1 - d) (x - a)``.

    ``d = min(decay, (1 + n) / (10 + n))`` grows with the number of updates ``n`` (as in
    TensorFlow's ExponentialMovingAverage). The ramp keeps the untrained start out of the average if
    training is short.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        ramp = (1 + int(updates)) / (10 + int(updates))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1 - min(decay, ramp))
            else:  # counters of norms
                mean.copy_(value)

    return update
