"""Image files and folders of any kind: their pixels, upright and of values from 0 to 1."""

import struct
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

FAINT = 0.1
"""Difference of values of 0 to 1 below which they are the same."""
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


def hidden(file: Path, folder: Path) -> bool:
    """Whether a file, or a folder below the named one that it lies in, begins with a dot."""
    return any(part[0] == "." for part in file.relative_to(folder).parts)


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
                if file.suffix.lower() in endings and file.is_file() and not hidden(file, path)
            )
            read = {*inside}
            others = sorted(
                file
                for file in path.rglob("*")
                if file not in read
                and not hidden(file, path)
                and (file.is_symlink() or not file.is_dir())
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
    return resized(_grey(square) if channels == 1 else square, size)


def _grey(pixels: Tensor) -> Tensor:
    """``(3, H, W)`` -> ``(1, H, W)``, as ITU-R 601-2 and Pillow weigh the colours."""
    red, green, blue = pixels
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(0)


def resized(pixels: Tensor, size: int) -> Tensor:
    """``(C, side, side)`` -> ``(C, size, size)``, smoothed where it shrinks."""
    if pixels.shape[-1] == size:
        return pixels
    smaller = torch.nn.functional.interpolate(
        pixels.unsqueeze(0), (size, size), mode="bilinear", antialias=True
    )
    return smaller.squeeze(0).clamp(0, 1)
