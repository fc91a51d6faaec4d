"""Finds what is drawn in a picture and makes it light on black, as large as a net expects it."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from darts_lite.data.images.image_files import FAINT, crop_middle, resize

PLAIN = 0.75  # smallest share of an image's border in one colour for its background to be plain
INK = 0.3  # grey value in 0..1 above which a pixel belongs to what is drawn
MOST_INK = 0.5  # largest share of a picture's pixels that a figure on a background may take
REFITS = 3  # fits of an uneven background; each leaves out the pixels far from the last fit
DIGITS = ("MNIST", "EMNIST", "QMNIST")
"""Data sets of digits, light on black: so a net that was trained on one expects images."""
FIGURE = 20 / 28
"""Share of a side that a digit's longer side takes in MNIST (LeCun et al., 1998)."""


def measure_foreground(images: Tensor) -> float | None:
    """Measures which share of images' sides their foregrounds' longer sides take, in the median.

    Takes uint8 ``(N, C, H, W)``. Returns None if they are not grey, or not light on black.
    """
    if images.shape[1] != 1:
        return None
    grey = images.squeeze(1).float() / 255  # (N, H, W)
    if _take_border(grey).median() >= FAINT:
        return None
    ink = grey > INK
    # The bounding box of each image's ink: height from its rows, width from its columns.
    longer = torch.maximum(_measure_extent(ink.any(dim=2)), _measure_extent(ink.any(dim=1)))  # (N,)
    return float(longer.float().median() / images.shape[-1])


def _measure_extent(flags: Tensor) -> Tensor:
    """Returns the distance from the first to behind the last set flag, ``(N, L)`` -> ``(N,)``."""
    places = torch.arange(flags.shape[1], device=flags.device)
    last = torch.where(flags, places, -1).amax(dim=1)
    return (last - torch.where(flags, places, flags.shape[1]).amin(dim=1) + 1).clamp_min(0)


def cut_out_figure(pixels: Tensor, size: int, figure: float) -> tuple[Tensor, str | None]:
    """Makes what is drawn on a plain background light on black, and as large as in other images.

    The background may have any colour, and be brighter on one side. A grey image of the right size
    that is light on black already stays as it is, and its negative becomes the same.

    Args:
        pixels: Image ``(3, H, W)`` in 0..1.
        size: Height and width of the result.
        figure: Share of them that the longer side of the figure takes.

    Returns:
        The image ``(1, size, size)``, and why it may show nothing of use, or None.
    """
    background, plain = _fit_background(pixels)
    right_size = pixels.shape[1:] == (size, size)
    if right_size and bool((pixels == pixels[:1]).all()):  # grey
        for seen, ground in ((pixels, background), (1 - pixels, 1 - background)):
            if bool((ground < FAINT).all()):
                return _doubt_if_empty(crop_middle(seen, 1, size))
    if not plain:
        return crop_middle(pixels, 1, size), "has no background of one colour"
    drawn = _measure_distance(pixels, background)  # (1, H, W)
    if (drawn > INK).float().mean() > MOST_INK:
        doubt = "shows more figure than background; cut off what is around it"
        return crop_middle(drawn.expand(3, -1, -1), 1, size), doubt
    if not right_size:
        drawn = _cut_out(drawn, figure)
    return _doubt_if_empty(resize(_pad_to_square(drawn), size))


def _doubt_if_empty(pixels: Tensor) -> tuple[Tensor, str | None]:
    return pixels, None if float(pixels.max()) >= INK else "shows nothing"


def _fit_background(pixels: Tensor) -> tuple[Tensor, bool]:
    """Estimates the background ``(C, H, W)`` of a picture, and whether it is plain.

    Plain is one colour, the same everywhere or changing evenly from side to side, as under a lamp.
    """
    height, width = pixels.shape[1:]
    down = torch.linspace(-1, 1, height).view(1, -1, 1).expand(1, height, width)
    across = torch.linspace(-1, 1, width).expand(1, height, width)
    border = _take_border(pixels)  # (C, count)
    colour = border.median(dim=1).values.view(-1, 1, 1).expand_as(pixels)
    if _is_plain(border, _take_border(colour)):
        return colour, True
    # Least squares: each channel is a plane over the picture, base + slope * down + tilt * across,
    # fitted to the border (count, C) from its regressors (count, 3).
    ones = torch.ones_like(border[:1])
    known = torch.cat([ones, _take_border(down), _take_border(across)]).T
    kept = torch.ones(len(known), dtype=torch.bool)
    for _ in range(REFITS):
        solution = torch.linalg.lstsq(known[kept], border.T[kept]).solution  # (3, C)
        base, slope, tilt = solution[..., None, None]
        colour = base + slope * down + tilt * across
        # The next fit leaves out the pixels farthest from this one: the figure at the border.
        off = (border - _take_border(colour)).abs().amax(dim=0)
        kept = off <= off.quantile(PLAIN)
    return colour, _is_plain(border, _take_border(colour))


def _take_border(values: Tensor) -> Tensor:
    """Returns the pixels of the four sides, ``(C, H, W)`` -> ``(C, 2 H + 2 W)``."""
    return torch.cat([values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1]], dim=1)


def _is_plain(border: Tensor, colour: Tensor) -> bool:
    """Returns whether enough pixels of a border ``(C, count)`` have the given colours."""
    same = ((border - colour).abs() < FAINT).all(dim=0)
    return bool(same.float().mean() >= PLAIN)


def _measure_distance(pixels: Tensor, background: Tensor) -> Tensor:
    """Returns each pixel's distance from the background, at most 1, as ``(1, H, W)``."""
    distance = (pixels - background).square().sum(dim=0, keepdim=True).sqrt()
    most = distance.max()
    return distance / most if most > FAINT else torch.zeros_like(distance)


def _cut_out(pixels: Tensor, share: float) -> Tensor:
    """Cuts the foreground out of ``(1, H, W)`` and puts it on a black square of the right size.

    Its centre of mass lies in the middle, as in MNIST, as far as nothing is cut off.
    """
    rows, columns = ((pixels[0] > INK).any(dim=side).nonzero().flatten() for side in (1, 0))
    if not len(rows) or not share:
        return pixels
    figure = pixels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = figure.shape[1:]
    side = max(height, width, round(max(height, width) / share))
    mass = figure[0] / figure.sum()
    # Along each axis the offset that brings the centre of mass to side / 2, within the square.
    top, left = (
        min(max(round(side / 2 - float(shares @ (torch.arange(extent) + 0.5))), 0), side - extent)
        for shares, extent in ((mass.sum(dim=1), height), (mass.sum(dim=0), width))
    )
    return pad(figure, (left, side - width - left, top, side - height - top))


def _pad_to_square(pixels: Tensor) -> Tensor:
    """Puts ``(1, H, W)`` into the middle of the smallest black square that holds it."""
    height, width = pixels.shape[1:]
    across, down = max(0, height - width), max(0, width - height)
    return pad(pixels, (across // 2, across - across // 2, down // 2, down - down // 2))
