"""Random changes of whole batches of signals, on their own device.

To add one: an argument of `SignalAugmentation`, its limits and its step.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from darts_lite.data.changes import AMOUNT, SHARE, Limit, RandomChanges, is_count
from darts_lite.distributed.ranks import WHOLE, Shard

VALUES: Limit = (is_count, "a whole number of values >= 0")


class SignalAugmentation(RandomChanges):
    """Shifts signals in time, scales them, adds noise, and erases stretches of them.

    Each signal is changed differently, all of its channels alike but for the noise. The shift comes
    before normalisation; all else behind it, so that a channel is scaled about its mean, however
    far from 0 that is. All draws come from the device's global random generator; what is off draws
    nothing.

    Args:
        shift: largest shift in time either way, in whole values, uniform; the value at the end is
            repeated
        scale: largest relative change of all values' distances from their channel's mean, uniform
            between 1 - scale and 1 + scale
        noise: deviation of normal noise, in deviations of the channel
        erase: number of values in a row set to the mean, clipped at the ends; 0 erases nothing

    Raises:
        ValueError: if an argument is out of its range.
    """

    limits = {"shift": VALUES, "scale": SHARE, "noise": AMOUNT, "erase": VALUES}

    def __init__(
        self, shift: int = 0, scale: float = 0.0, noise: float = 0.0, erase: int = 0
    ) -> None:
        super().__init__()
        self.shift, self.scale, self.noise, self.erase = shift, scale, noise, erase
        self.check()

    def forward(
        self,
        items: Tensor,
        normalize: Callable[[Tensor], Tensor] = lambda items: items.unsqueeze(2),
        part: Shard = WHOLE,
    ) -> Tensor:
        """Augments rows ``(B, C, T)``; returns maps ``(B, C, 1, T)``."""
        factors = self.draw_factors(self.scale, items, part) if self.scale else None
        if self.shift:
            items = self._move(items, part)
        maps = normalize(items)  # (B, C, 1, T)
        if factors is not None:
            maps = maps * factors.unsqueeze(-1)
        if self.noise:
            draws = part.local_random(
                lambda n: torch.randn(n, *maps.shape[1:], device=maps.device), len(maps)
            )
            maps = maps + self.noise * draws
        return self._erase(maps, part) if self.erase else maps

    def _move(self, rows: Tensor, part: Shard) -> Tensor:
        limits, device = (-self.shift, self.shift + 1), rows.device
        later = part.local_random(lambda n: torch.randint(*limits, (n,), device=device), len(rows))
        length = rows.shape[-1]
        places = (torch.arange(length, device=device) - later[:, None]).clamp(0, length - 1)
        return rows.gather(2, places[:, None].expand_as(rows))

    def _erase(self, maps: Tensor, part: Shard) -> Tensor:
        length, device = maps.shape[-1], maps.device
        middle = part.local_random(lambda n: torch.randint(length, (n,), device=device), len(maps))
        first = middle - self.erase // 2  # (B,)
        place = torch.arange(length, device=device)
        inside = (place >= first[:, None]) & (place < first[:, None] + self.erase)  # (B, T)
        return maps.masked_fill(inside[:, None, None], 0.0)
