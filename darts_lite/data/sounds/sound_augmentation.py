"""Random augmentation of whole batches of sounds, on their own device.

To add one: an argument of `SoundAugmentation`, its line in ``limits``, and a step in a method.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from darts_lite.data.changes import AMOUNT, PIXELS, SHARE, RandomChanges
from darts_lite.distributed.ranks import WHOLE, Shard


class SoundAugmentation(RandomChanges):
    """Shifts, stretches and scales samples, adds noise, and masks times and bands of the map.

    Each sound is changed differently. Masks are set to the mean, which is 0 after normalisation
    (SpecAugment, arXiv 1904.08779).

    Args:
        shift: largest shift either way, in shares of the length, uniform; silence moves in
        speed: largest relative change of speed, and with it of pitch, uniform
        gain: largest change of loudness either way, in decibels, uniform
        noise: largest deviation of white noise, in shares of the sound's own, uniform from 0
        frames: largest number of frames under one mask, uniform from 0
        bands: largest number of bands under one mask, uniform from 0

    Raises:
        ValueError: if an argument is out of its range.
    """

    limits = {
        "shift": SHARE,
        "speed": SHARE,
        "gain": AMOUNT,
        "noise": AMOUNT,
        "frames": PIXELS,
        "bands": PIXELS,
    }

    def __init__(
        self,
        shift: float = 0.0,
        speed: float = 0.0,
        gain: float = 0.0,
        noise: float = 0.0,
        frames: int = 0,
        bands: int = 0,
    ) -> None:
        super().__init__()
        self.shift, self.speed, self.gain, self.noise = shift, speed, gain, noise
        self.frames, self.bands = frames, bands
        self.check()

    def forward(
        self,
        items: Tensor,
        normalize: Callable[[Tensor], Tensor] = lambda items: items,
        part: Shard = WHOLE,
    ) -> Tensor:
        """Augments samples ``(B, samples)`` in -1..1, and the maps that ``normalize`` makes."""
        heard = self.loudness(self.time(items, part), part)
        return self.masks(normalize(heard), part)

    def time(self, samples: Tensor, part: Shard = WHOLE) -> Tensor:
        """Shifts and stretches samples ``(B, samples)`` about their middle, between samples."""
        if not (self.shift or self.speed):
            return samples
        length = samples.shape[1]
        speed = self.draw_factors(self.speed, samples, part)  # (B, 1)
        shift = self.shift * length * self.draw_uniform(samples, part)[:, None]  # (B, 1)
        middle = (length - 1) / 2
        places = torch.arange(length, device=samples.device) - middle
        places = places * speed + middle - shift  # where each sample comes from, (B, samples)
        before = places.floor().long()
        share = places - before
        first, second = (self._pick(samples, before + step) for step in (0, 1))
        return first + share * (second - first)

    @staticmethod
    def _pick(samples: Tensor, places: Tensor) -> Tensor:
        inside = (places >= 0) & (places < samples.shape[1])
        return samples.gather(1, places.clamp(0, samples.shape[1] - 1)) * inside

    def loudness(self, samples: Tensor, part: Shard = WHOLE) -> Tensor:
        """Adds noise to samples ``(B, samples)``, and scales them."""
        if self.noise:
            batch, length = samples.shape
            drawn = part.local_random(
                lambda n: torch.randn(n, length, device=samples.device), batch
            )
            amount = (1 + self.draw_uniform(samples, part)[:, None]) / 2  # 0 to 1
            samples = samples + self.noise * amount * samples.std(dim=1, keepdim=True) * drawn
        if self.gain:
            decibels = self.gain * self.draw_uniform(samples, part)[:, None]
            samples = samples * 10 ** (decibels / 20)
        return samples.clamp(-1, 1)

    def masks(self, maps: Tensor, part: Shard = WHOLE) -> Tensor:
        """Sets a range of bands and one of frames of each map ``(B, 1, bands, frames)`` to 0."""
        for widest, axis in ((self.bands, 2), (self.frames, 3)):
            if not widest:
                continue
            side = maps.shape[axis]
            # A mask of 0 to `widest` rows begins where it still ends inside.
            drawn = [(1 + self.draw_uniform(maps, part)) / 2 for _ in range(2)]  # 0 to 1, (B,)
            width = (drawn[0] * (min(widest, side) + 1)).floor()
            first = (drawn[1] * (side - width + 1)).floor()
            places = torch.arange(side, device=maps.device)
            hidden = (places >= first[:, None]) & (places < (first + width)[:, None])  # (B, side)
            lines = hidden[:, None, :, None]  # (B, 1, side, 1)
            maps = maps.masked_fill(lines if axis == 2 else lines.mT, 0.0)
        return maps
