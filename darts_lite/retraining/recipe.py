"""What a retraining may add to plain training of a net: schedules, mixed and smaller images.

Which of it pays on digits is measured in `benchmarks/ablation.py`.
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

WARM_SHARE = 0.1
"""Of all steps, during which the rate of ``warm_cosine`` grows."""
GROWING_SHARE = 0.5
"""Of all steps, during which images grow where a retraining begins with smaller ones."""
MOST_SHIFTS = 100


def _one_cycle(optimizer: Optimizer, steps: int) -> LRScheduler:
    group = optimizer.param_groups[0]
    turns = bool(group.get("momentum") or group.get("betas"))
    return OneCycleLR(optimizer, group["lr"], total_steps=steps + 1, cycle_momentum=turns)


def _cosine(optimizer: Optimizer, steps: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, steps)


def _warm_cosine(optimizer: Optimizer, steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: warm_cosine(step / steps))


def warm_cosine(progress: float) -> float:
    """Share of the learning rate: up in a straight line, then down along half a cosine."""
    if progress < WARM_SHARE:
        return progress / WARM_SHARE
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_SHARE) / (1 - WARM_SHARE)))


SCHEDULES: Mapping[str, Callable[[Optimizer, int], LRScheduler]] = {
    "one_cycle": _one_cycle,
    "cosine": _cosine,
    "warm_cosine": _warm_cosine,
}


@dataclass(frozen=True)
class Recipe:
    """The settings of a retraining, as `darts_lite.Retraining` documents them.

    Raises:
        ValueError: if a value is out of range.
    """

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

    def __post_init__(self) -> None:
        for name in ("label_smoothing", "drop_path", "ema_decay"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
        if self.max_epochs < 1:
            raise ValueError(f"max_epochs must be at least 1, got {self.max_epochs}")
        if not (0 <= self.auxiliary_weight < math.inf and self.gradient_clip >= 0):
            raise ValueError(
                "auxiliary_weight and gradient_clip must be at least 0, and the former finite; got "
                f"{self.auxiliary_weight} and {self.gradient_clip}"
            )
        if not (0 <= self.mixup < math.inf and 0 < self.smallest_side <= 1):
            raise ValueError(
                "mixup must be at least 0 and finite, and smallest_side above 0 and at most 1; got "
                f"{self.mixup} and {self.smallest_side}"
            )
        if not 0 <= self.test_shifts <= MOST_SHIFTS:
            raise ValueError(
                f"test_shifts must be 0 to {MOST_SHIFTS} pixels, got {self.test_shifts}"
            )
        if self.schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.schedule!r}; choose from {sorted(SCHEDULES)}")


def mixed_up(
    images: Tensor, labels: Tensor, classes: int, strength: float
) -> tuple[Tensor, Tensor]:
    """Mixes each image and its label with another one of the batch (mixup, arXiv 1710.09412).

    The other one is half a batch away, so that several processes mix the pairs that one would.

    Args:
        images: ``(B, C, H, W)``, in random order.
        labels: ``(B,)``
        classes: How many there are.
        strength: Both parameters of the Beta distribution of the shares, one draw per batch.

    Returns:
        Images ``(B, C, H, W)`` and probabilities ``(B, classes)``.
    """
    share = float(Beta(strength, strength).sample())
    half = len(images) // 2
    targets = F.one_hot(labels, classes).to(images.dtype)
    return (
        images.lerp(images.roll(half, 0), 1 - share),
        targets.lerp(targets.roll(half, 0), 1 - share),
    )


def side_at(progress: float, smallest: float, side: int) -> int:
    """Side in pixels to which images are brought: it grows from a share of theirs to the whole.

    Progressive resizing, as in arXiv 2104.00298 (section 4.1), in a straight line.

    Args:
        progress: Share of the training that is over, 0 to 1.
        smallest: Share of the side to begin with.
        side: Of the images.
    """
    share = smallest + (1 - smallest) * min(1.0, progress / GROWING_SHARE)
    return max(1, round(share * side))


def mean_of_shifts(net: Callable[[Tensor], Tensor], images: Tensor, pixels: int) -> Tensor:
    """Logarithms of the mean probabilities of images and their shifts ``(B, classes)``.

    Args:
        net: Gives logits ``(B, classes)``.
        images: ``(B, C, H, W)``
        pixels: How far they are shifted, along each axis and both; the border is repeated.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (pixels,) * 4, mode="replicate")
    offsets = (0, pixels, 2 * pixels)
    views = [padded[:, :, y : y + height, x : x + width] for y in offsets for x in offsets]
    answers = torch.stack([net(view).log_softmax(dim=1) for view in views])  # (9, B, classes)
    return answers.logsumexp(dim=0) - math.log(len(views))


def exponential_average(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Update of averaged tensors: ``a += (1 - d) (x - a)``, ``d = min(decay, (1 + n) / (10 + n))``.

    The ramp over the number of updates ``n`` (as in TensorFlow's ExponentialMovingAverage) keeps
    the untrained start out of the average when training is short.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        ramp = (1 + int(updates)) / (10 + int(updates))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1 - min(decay, ramp))
            else:
                mean.copy_(value)

    return update
