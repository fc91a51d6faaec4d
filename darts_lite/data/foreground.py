"""What is drawn in a picture, and on what: light on black and as large as a net learnt it."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from darts_lite.data.image_files import FAINT, middle_of, pixels_of, resized

PLAIN = 0.75
"""Part of an image's border that has one colour where something is drawn on a background."""
INK = 0.3
"""Grey of 0 to 1 above which a pixel belongs to what is drawn."""
MOST_INK = 0.5
"""Part of a picture's pixels that a figure on a background takes at most."""
REFITS = 3
"""How often a background that changes is fitted, without what lies off it."""


class Expected(NamedTuple):
    """What a net's own images are like.

    Args:
        channels: 1 or 3.
        size: Height and width.
        figure: Of images that show something light on black: how much of a side it takes, of 0 to
            1. None for others.
    """

    channels: int
    size: int
    figure: float | None


class Seen(NamedTuple):
    """A picture as a net sees it.

    Args:
        pixels: Of 0 to 1, ``(channels, size, size)``.
        doubt: Why the net's answer may mean nothing, if there is a reason.
    """

    pixels: Tensor
    doubt: str | None = None


def figure_share(images: Tensor) -> float | None:
    """How much of an image's side the longer side of what it shows takes, in the median.

    Args:
        images: uint8, ``(N, C, H, W)``.

    Returns:
        None if they are not grey, or do not show something light on black.
    """
    if images.shape[1] != 1:
        return None
    grey = images.squeeze(1).float() / 255  # (N, H, W)
    if _border(grey).median() >= FAINT:
        return None
    ink = grey > INK
    longer = torch.maximum(_extent(ink.any(dim=2)), _extent(ink.any(dim=1)))  # (N,)
    return float(longer.float().median() / images.shape[-1])


def _extent(flags: Tensor) -> Tensor:
    """How far the first and the last one that is set lie apart: ``(N, L)`` -> ``(N,)``."""
    places = torch.arange(flags.shape[1], device=flags.device)
    last = torch.where(flags, places, -1).amax(dim=1)
    return (last - torch.where(flags, places, flags.shape[1]).amin(dim=1) + 1).clamp_min(0)


def as_expected(path: Path, expected: Expected) -> Seen:
    """An image file as a net's input before its normalisation.

    For a net of grey images it becomes grey, and where it is not square, its middle is taken.
    Where the net's images show something light on black, and this one something on a background
    of one colour, whichever, brighter on one side or not, then what differs from the background
    becomes light, and as large as it is there; an image that is of the right size and light on
    black already stays as it is.

    Args:
        path: Of any mode and size.
        expected: What the net knows.

    Raises:
        ValueError: if it cannot be read.
    """
    pixels = pixels_of(path)  # (3, H, W)
    if expected.channels != 1 or expected.figure is None:
        return Seen(middle_of(pixels, expected.channels, expected.size))
    background, plain = _background(pixels)
    right_size = pixels.shape[1:] == (expected.size, expected.size)
    if right_size and bool((background < FAINT).all()):
        return _with_doubt(middle_of(pixels, 1, expected.size))
    if not plain:
        return Seen(middle_of(pixels, 1, expected.size), "has no background of one colour")
    drawn = _distance(pixels, background)  # (1, H, W)
    if (drawn > INK).float().mean() > MOST_INK:
        doubt = "shows more figure than background; cut off what is around it"
        return Seen(middle_of(drawn.expand(3, -1, -1), 1, expected.size), doubt)
    if not right_size:
        drawn = _cut_out(drawn, expected)
    return _with_doubt(resized(_in_the_middle(drawn, max(drawn.shape[1:])), expected.size))


def _with_doubt(pixels: Tensor) -> Seen:
    return Seen(pixels, None if float(pixels.max()) >= INK else "shows nothing")


def _background(pixels: Tensor) -> tuple[Tensor, bool]:
    """What the border of a picture tells of its background.

    Args:
        pixels: ``(C, H, W)``.

    Returns:
        Its values, ``(C, H, W)``, and whether it is of one colour, the same everywhere or changing
        evenly from side to side, as under a lamp.
    """
    height, width = pixels.shape[1:]
    down = torch.linspace(-1, 1, height).view(1, -1, 1).expand(1, height, width)
    across = torch.linspace(-1, 1, width).expand(1, height, width)
    seen = _border(pixels)  # (C, count)
    colour = seen.median(dim=1).values.view(-1, 1, 1).expand_as(pixels)
    if _same(seen, _border(colour)):
        return colour, True
    known = torch.cat([torch.ones_like(seen[:1]), _border(down), _border(across)]).T  # (count, 3)
    kept = torch.ones(len(known), dtype=torch.bool)
    for _ in range(REFITS):
        base, slope, tilt = torch.linalg.lstsq(known[kept], seen.T[kept]).solution[..., None, None]
        colour = base + slope * down + tilt * across
        off = (seen - _border(colour)).abs().amax(dim=0)
        kept = off <= off.quantile(PLAIN)  # what is drawn up to the border does not count
    return colour, _same(seen, _border(colour))


def _border(values: Tensor) -> Tensor:
    """``(C, H, W)`` -> ``(C, 2 H + 2 W)``."""
    return torch.cat([values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1]], dim=1)


def _same(border: Tensor, colour: Tensor) -> bool:
    """Whether enough of a border ``(C, count)`` has that colour."""
    same = ((border - colour).abs() < FAINT).all(dim=0)
    return bool(same.float().mean() >= PLAIN)


def _distance(pixels: Tensor, background: Tensor) -> Tensor:
    """``(3, H, W)`` -> ``(1, H, W)``: how far each pixel is from the background, 1 at the most."""
    distance = (pixels - background).square().sum(dim=0, keepdim=True).sqrt()
    most = distance.max()
    return distance / most if most > FAINT else torch.zeros_like(distance)


def _cut_out(pixels: Tensor, expected: Expected) -> Tensor:
    """What is drawn, ``(1, H, W)``, on a black square that leaves it its share.

    Its centre of mass lies in the middle, as in MNIST, as far as nothing is cut off.
    """
    rows, columns = ((pixels[0] > INK).any(dim=side).nonzero().flatten() for side in (1, 0))
    if not len(rows) or not expected.figure:
        return pixels
    figure = pixels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = figure.shape[1:]
    side = max(height, width, round(max(height, width) / expected.figure))
    mass = figure[0] / figure.sum()
    whole = figure.new_zeros(1, side, side)
    top, left = (
        min(max(round(side / 2 - float(shares @ (torch.arange(extent) + 0.5))), 0), side - extent)
        for shares, extent in ((mass.sum(dim=1), height), (mass.sum(dim=0), width))
    )
    whole[:, top : top + height, left : left + width] = figure
    return whole


def _in_the_middle(pixels: Tensor, side: int) -> Tensor:
    """``(1, H, W)`` -> ``(1, side, side)``, black around it."""
    height, width = pixels.shape[1:]
    whole = pixels.new_zeros(1, side, side)
    top, left = (side - height) // 2, (side - width) // 2
    whole[:, top : top + height, left : left + width] = pixels
    return whole
