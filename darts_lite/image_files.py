"""Any picture as a net expects it: its channels, its size, light on dark where it learnt that."""

import struct
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

PLAIN = 0.75
"""Part of an image's border that has one colour where something is drawn on a background."""
FAINT = 0.1
"""Distance from that colour, in each channel of 0 to 1, below which it is the same."""
INK = 0.3
"""Grey of 0 to 1 above which a pixel belongs to what is drawn."""
LARGEST = 2048
"""Pixels of a side above which an image is reduced before anything else."""
DEEP = "IF"
"""First letters of Pillow's modes of grey values of more than eight bits."""
RANGES = (1, 255, 1023, 4095, 16383, 65535)
"""Largest values of such images: shares, and numbers of 8 to 16 bits."""
UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow raises on files that are no images, or damaged ones."""


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
    border = torch.cat([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], dim=1)
    if border.median() >= FAINT:
        return None
    ink = grey > INK
    longer = torch.maximum(_extent(ink.any(dim=2)), _extent(ink.any(dim=1)))  # (N,)
    return float(longer.float().median() / images.shape[-1])


def _extent(flags: Tensor) -> Tensor:
    """How far the first and the last one that is set lie apart: ``(N, L)`` -> ``(N,)``."""
    places = torch.arange(flags.shape[1], device=flags.device)
    last = torch.where(flags, places, -1).amax(dim=1)
    return (last - torch.where(flags, places, flags.shape[1]).amin(dim=1) + 1).clamp_min(0)


def opened(path: str | Path) -> Image.Image:
    """An image whose header has been read.

    Raises:
        ValueError: if it is none.
    """
    try:
        return Image.open(path)
    except UNREADABLE as error:
        raise ValueError(f"{path} is no image that can be read ({error}); leave it out") from None


def is_grey(image: Image.Image) -> bool:
    """Whether an image has no colours."""
    return image.mode in ("1", "L", "LA") or image.mode[0] in DEEP


def pixels_of(path: str | Path) -> Tensor:
    """The pixels of an image file of any mode, upright, ``(3, H, W)`` of 0 to 1.

    What is transparent is white, or black where all that is drawn is white. Values of more than
    eight bits are divided by the largest one of as many bits as they need. Sides above `LARGEST`
    pixels are reduced.

    Raises:
        ValueError: if the file is damaged.
    """
    with opened(path) as image:
        try:
            deep = image.mode[0] in DEEP
            upright = ImageOps.exif_transpose(image).convert("F" if deep else "RGBA")
            small = upright.reduce(-(-max(upright.size) // LARGEST))
        except UNREADABLE as error:
            raise ValueError(f"{path} is damaged ({error}); replace it or leave it out") from None
    if not deep:
        return _opaque(small)
    values = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.float32)
    if not values.isfinite().all():
        raise ValueError(f"{path} holds values that are no numbers; replace it or leave it out")
    values = values - min(0.0, float(values.min()))
    most = next((most for most in RANGES if values.max() <= most), float(values.max()))
    return (values / most).view(small.height, small.width).expand(3, -1, -1)


def _opaque(image: Image.Image) -> Tensor:
    """``(3, H, W)`` of an image in RGBA."""
    values = pil_to_tensor(image).float() / 255
    colours, opacity = values[:3], values[3:]
    drawn = opacity.expand_as(colours)
    light = (colours * drawn).sum() >= (1 - FAINT) * drawn.sum()
    paper = 0.0 if light and opacity.min() < 1 else 1.0
    return colours * opacity + paper * (1 - opacity)


def files_in(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The files that are named, and of folders all images inside, in the order of their names.

    Raises:
        ValueError: if there is no such file, or no image in a folder.
    """
    endings = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in endings and file.is_file() and file.name[0] != "."
            )
            read = {*inside}
            others = sorted(
                file
                for file in path.rglob("[!.]*")
                if file not in read and (file.is_symlink() or not file.is_dir())
            )
            if others:
                warnings.warn(
                    f"{len(others)} of the files in {path} are left out, {others[0]} for one: they "
                    "have no ending of an image, or lead elsewhere; name them to have them read",
                    stacklevel=2,
                )
            if not inside:
                raise ValueError(f"{path} holds no images; name a folder that does, or files")
            yield from inside
        elif path.is_file():
            yield path
        else:
            raise ValueError(f"no image at {path}; name image files or folders of them")


def middle_of(pixels: Tensor, channels: int, size: int) -> Tensor:
    """The square in an image's middle, as images of folders are trained on.

    Args:
        pixels: ``(3, H, W)`` of 0 to 1.
        channels: 1 or 3.
        size: Height and width to which it is brought.

    Returns:
        ``(channels, size, size)`` of 0 to 1.
    """
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[:, top : top + side, left : left + side]
    return _resized(_grey(square) if channels == 1 else square, size)


def as_expected(path: Path, expected: Expected) -> Tensor:
    """An image file as a net's input before its normalisation.

    For a net of grey images it becomes grey, and where it is not square, its middle is taken.
    Where the net's images show something light on black, and this one something on a background
    of one colour, whichever, then what differs from the background becomes light, and as large as
    it is there; an image that is of the right size and light on black already stays as it is.

    Args:
        path: Of any mode and size.
        expected: What the net knows.

    Returns:
        Pixels of 0 to 1, ``(channels, size, size)``.

    Raises:
        ValueError: if it cannot be read.
    """
    pixels = pixels_of(path)  # (3, H, W)
    background, plain = _background(pixels)
    right_size = pixels.shape[1:] == (expected.size, expected.size)
    right = right_size and bool((background < FAINT).all())
    if expected.channels != 1 or expected.figure is None or not plain or right:
        return middle_of(pixels, expected.channels, expected.size)
    drawn = _distance(pixels, background)  # (1, H, W)
    if not right_size:
        drawn = _cut_out(drawn, expected)
    return _resized(_in_the_middle(drawn, max(drawn.shape[1:])), expected.size)


def _background(pixels: Tensor) -> tuple[Tensor, bool]:
    """The colour of the border of ``(C, H, W)``, ``(C, 1, 1)``, and whether it is one."""
    sides = pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]
    border = torch.cat(sides, dim=1)  # (C, count)
    colour = border.median(dim=1, keepdim=True).values
    same = ((border - colour).abs() < FAINT).all(dim=0)
    return colour.unsqueeze(2), bool(same.float().mean() >= PLAIN)


def _grey(pixels: Tensor) -> Tensor:
    """``(3, H, W)`` -> ``(1, H, W)``, as ITU-R 601-2 and Pillow weigh the colours."""
    red, green, blue = pixels
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(0)


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


def _resized(pixels: Tensor, size: int) -> Tensor:
    if pixels.shape[-1] == size:
        return pixels
    resized = torch.nn.functional.interpolate(
        pixels.unsqueeze(0), (size, size), mode="bilinear", antialias=True
    )
    return resized.squeeze(0).clamp(0, 1)
