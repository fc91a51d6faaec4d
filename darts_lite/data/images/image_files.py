"""Reads image files of any kind; pixels are upright, in 0..1."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from darts_lite.data.file_lists import FileKind

FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000"),
    *("PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
"""Pillow's names of the formats that are read: pixels alone, and no other program is started."""
DARK = 0.01  # share of a net's white below which an image with grey values is nearly black
FAINT = 0.1  # difference of two values in 0..1 below which they count as the same
LARGEST = 2048  # side in pixels above which an image is reduced at once
DEEP = "IF"  # first letters of Pillow's modes whose grey values have more than eight bits
FULL = {"I": 65535.0, "F": 1.0}
"""First letter of such a mode -> its white, for nets whose own images have eight bits."""
WHITES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""Largest possible values of such images: 1 for shares, and those of 8 to 16 bits."""


class GreyRange(NamedTuple):
    """Which grey values of more than eight bits are black and white, alike for a whole data set."""

    black: float = 0.0
    white: float | None = None
    """None if the images of the data set have eight bits."""


class ReadImage(NamedTuple):
    """The pixels of a file."""

    pixels: Tensor  # (3, H, W) in 0..1
    doubt: str | None = None  # why they may show nothing of use


def list_formats() -> tuple[str, ...]:
    """Returns the formats of `FORMATS` that this Pillow knows; AVIF came with a late one."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Opens an image file and reads its header; raises ValueError if it is not an image."""
    with ExitStack() as opened:
        try:
            # Of a path, Pillow maps some TIFF files into memory, and mixes up turned ones.
            file = opened.enter_context(Path(path).open("rb"))
            with warnings.catch_warnings():  # of sizes up to which Pillow reads an image anyway
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = opened.enter_context(Image.open(file, formats=list_formats()))
        except Exception as error:  # decoders raise errors of any kind on files that are damaged
            raise ValueError(f"{path} is not a readable image ({error}); leave it out") from None
        yield image


def is_grey(image: Image.Image) -> bool:
    """Returns whether an image has no colours."""
    return image.mode in ("1", "L", "LA") or is_deep(image)


def is_deep(image: Image.Image) -> bool:
    """Returns whether an image has grey values of more than eight bits."""
    return image.mode[0] in DEEP


def read_image(path: str | Path, greys: GreyRange) -> ReadImage:
    """Reads the pixels of an image file of any mode, upright.

    Transparent pixels become white, or black where everything drawn is white. Values of more than
    eight bits are scaled by the range of a data set, so that images of one raw value look alike.
    Sides above `LARGEST` pixels are reduced. Raises ValueError if the file is damaged.
    """
    mode, image, several = _decode(path)
    doubt = "holds several images, and only the first is seen" if several else None
    if mode not in DEEP:
        return ReadImage(_flatten_alpha(image), doubt)
    values = _read_values(path, image)
    white = FULL[mode] if greys.white is None else greys.white
    shares = (values - greys.black) / max(white - greys.black, 1e-30)
    low, high = shares.aminmax()
    if low < 0 or high > 1:
        doubt = "has values outside of those of the net's images"
    elif 0 < high < DARK:
        doubt = "is nearly black: its values are far below those of the net's images"
    return ReadImage(shares.clamp(0, 1).expand(3, -1, -1), doubt)


def measure_range(paths: Iterable[Path]) -> GreyRange:
    """Returns the range of a data set's grey images of more than eight bits.

    Black is 0, or the smallest value if that is below; white is the largest value of the smallest
    bit depth that holds all of them. Without such images the range is that of eight bits.
    """
    extremes = [_read_values(path, _decode(path).image).aminmax() for path in paths]
    if not extremes:
        return GreyRange()
    low = min(0.0, min(float(each.min) for each in extremes))
    high = max(float(each.max) for each in extremes)
    return GreyRange(low, next((white for white in WHITES if high <= white), high))


class _Decoded(NamedTuple):
    """A file's image."""

    kind: str  # first letter of its mode
    image: Image.Image  # upright, as floats or RGBA
    several: bool  # whether others follow in the file


def _decode(path: str | Path) -> _Decoded:
    with open_image(path) as image:
        try:
            kind = "F" if is_deep(image) else "RGBA"
            upright = ImageOps.exif_transpose(image).convert(kind)
            # A photograph with its preview is of the format MPO.
            several = getattr(image, "is_animated", False) and image.format != "MPO"
            smaller = upright.reduce(-(-max(upright.size) // LARGEST))
            return _Decoded(image.mode[0], smaller, several)
        except Exception as error:  # see `open_image`
            raise ValueError(f"{path} is damaged ({error}); replace it or leave it out") from None


def _read_values(path: str | Path, image: Image.Image) -> Tensor:
    """Returns the values ``(H, W)`` of an image of floats; ValueError if one is not finite."""
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.float32)
    if not values.isfinite().all():
        raise ValueError(f"{path} holds NaN or infinite values; replace it or leave it out")
    return values.view(image.height, image.width)


def _flatten_alpha(image: Image.Image) -> Tensor:
    """Puts an RGBA image on white, or on black if its drawing is light; returns ``(3, H, W)``."""
    values = pil_to_tensor(image).float() / 255
    colours, opacity = values[:3], values[3:]
    drawn = opacity.expand_as(colours)
    light = (colours * drawn).sum() >= (1 - FAINT) * drawn.sum()
    paper = 0.0 if light and opacity.min() < 1 else 1.0
    return colours * opacity + paper * (1 - opacity)


def list_endings() -> set[str]:
    """Returns the endings of image files, as ``.png``."""
    known = list_formats()
    return {end for end, kind in Image.registered_extensions().items() if kind in known}


IMAGES = FileKind("image", list_endings)


def crop_middle(pixels: Tensor, channels: int, size: int) -> Tensor:
    """Cuts out the square in an image's middle, as nets are trained on images in folders.

    ``(3, H, W)`` -> ``(channels, size, size)``, both in 0..1; ``channels`` is 1 or 3.
    """
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[:, top : top + side, left : left + side]
    if channels == 1:  # weighs the colours as ITU-R 601-2 and Pillow do
        red, green, blue = square
        square = (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(0)  # (1, side, side)
    return resize(square, size)


def resize(pixels: Tensor, size: int) -> Tensor:
    """Resizes ``(C, side, side)`` to ``(C, size, size)``, smoothing where it shrinks."""
    if pixels.shape[-1] == size:
        return pixels
    smaller = torch.nn.functional.interpolate(
        pixels.unsqueeze(0), (size, size), mode="bilinear", antialias=True
    )
    return smaller.squeeze(0).clamp(0, 1)
