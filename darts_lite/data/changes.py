"""Random changes of whole batches, on their own device: what their kinds share."""

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from darts_lite.distributed.ranks import WHOLE, Shard
from darts_lite.storage.components import class_path

Limit = tuple[Callable[[Any], bool], str]
"""A check, and what is allowed in words."""


def is_count(value: float) -> bool:
    """Returns whether a value is a whole number of at least 0."""
    return value >= 0 and value == int(value)


PIXELS: Limit = (is_count, "a whole number of pixels >= 0")
SHARE: Limit = (lambda value: 0 <= value < 1, "at least 0 and below 1")
AMOUNT: Limit = (lambda value: 0 <= value < math.inf, "at least 0 and finite")


class RandomChanges(nn.Module):
    """Changes each item of a batch differently; what is off draws nothing.

    All draws come from the device's global random generator. A subclass with ``limits`` keeps each
    of its arguments as an attribute of that name.

    Attributes:
        limits: Arguments and what is allowed.
    """

    limits: ClassVar[Mapping[str, Limit]]

    def check(self) -> None:
        """Raises ValueError if an argument is out of its range."""
        for name, (is_allowed, allowed) in self.limits.items():
            if not is_allowed(value := getattr(self, name)):
                raise ValueError(f"{name} must be {allowed}, got {value}")

    @abstractmethod
    def forward(
        self,
        items: Tensor,
        normalize: Callable[[Tensor], Tensor] = lambda items: items,
        part: Shard = WHOLE,
    ) -> Tensor:
        """Changes items ``(B, ...)`` as files hold them, and the maps that ``normalize`` makes."""

    def describe(self) -> dict[str, Any]:
        """Returns the class and its arguments as plain values, to build the object again."""
        owner = next(kind for kind in type(self).__mro__ if "limits" in vars(kind))
        settings = {name: getattr(self, name) for name in inspect.signature(owner).parameters}
        return {"class_path": class_path(type(self)), "init_args": settings}

    @staticmethod
    def draw_factors(change: float, items: Tensor, part: Shard) -> Tensor:
        """Draws a factor of 1 - change to 1 + change for each item, ``(B, 1, ...)``."""
        drawn = RandomChanges.draw_uniform(items, part)
        return (1 + change * drawn).view(-1, *[1] * (items.dim() - 1))

    @staticmethod
    def draw_uniform(items: Tensor, part: Shard) -> Tensor:
        """Draws a number of -1 to 1 for each item, ``(B,)``."""
        draws = part.local_random(lambda n: torch.rand(n, device=items.device), len(items))
        return 2 * draws - 1
