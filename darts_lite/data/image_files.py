"""Reads image files of any kind and finds them in folders; pixels are upright, in 0..1."""

import struct
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from PIL import Image, ImageOps
from PIL.Image import DecompressionBombError
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

FAINT = 0.1  # difference of two values in 0..1 below which they count as the same
LARGEST = 2048  # side in pixels above which an image is reduced at once
DEEP = "IF"  # first letters of Pillow's modes whose grey values have more than eight bits
RANGES = (1, 255, 1023, 4095, 16383, 65535)
"""Largest possible values of such images: 1 for shares, and those of 8 to 16 bits."""
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, DecompressionBombError)
"""Errors that Pillow raises on damaged files and on files that are not images."""


def open_image(path: str | Path) -> Image.Image:
    """Opens an image file and reads its header; raises ValueError if it is not an image."""
    try:
        return Image.open(path)
    except UNREADABLE as error:
        raise ValueError(f"{path} is not a readable image ({error}); leave it out") from None


def is_grey(image: Image.Image) -> bool:
    """Returns whether an image has no colours."""
    return image.mode in ("1", "L", "LA") or image.mode[0] in DEEP


def read_pixels(path: str | Path) -> Tensor:
    """Reads the pixels of an image file of any mode, upright, ``(3, H, W)`` in 0..1.

    Transparent pixels become white, or black where everything drawn is white. Values of more than
    eight bits are divided by the largest value of the smallest bit depth that holds them. Sides
    above `LARGEST` pixels are reduced. Raises ValueError if the file is damaged.
    """
    with open_image(path) as image:
        try:
            deep = image.mode[0] in DEEP
            upright = ImageOps.exif_transpose(image).convert("F" if deep else "RGBA")
            small = upright.reduce(-(-max(upright.size) // LARGEST))
        except UNREADABLE as error:
            raise ValueError(f"{path} is damaged ({error}); replace it or leave it out") from None
    if not deep:
        return _flatten_alpha(small)
    values = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.float32)
    if not values.isfinite().all():
        raise ValueError(f"{path} holds NaN or infinite values; replace it or leave it out")
    # Negative values move up to 0; then the smallest range that holds all values is divided by.
    values = values - min(0.0, float(values.min()))
    largest = next((most for most in RANGES if values.max() <= most), float(values.max()))
    return (values / largest).view(small.height, small.width).expand(3, -1, -1)


def _flatten_alpha(image: Image.Image) -> Tensor:
    """Puts an RGBA image on white, or on black if its drawing is light; returns ``(3, H, W)``."""
    values = pil_to_tensor(image).float() / 255
    colours, opacity = values[:3], values[3:]
    drawn = opacity.expand_as(colours)
    light = (colours * drawn).sum() >= (1 - FAINT) * drawn.sum()
    paper = 0.0 if light and opacity.min() < 1 else 1.0
    return colours * opacity + paper * (1 - opacity)


def is_hidden(file: Path, folder: Path) -> bool:
    """Returns whether the file, or a folder between it and ``folder``, begins with a dot."""
    return any(part[0] == "." for part in file.relative_to(folder).parts)


def list_files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yields the named files, and all images inside the named folders, sorted by name.

    Raises ValueError if there is no such file, or no image in a folder.
    """
    endings = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    for path in map(Path, paths):
        if path.is_dir():
            visible = sorted(file for file in path.rglob("*") if not is_hidden(file, path))
            inside = {file for file in visible if file.suffix.lower() in endings and file.is_file()}
            others = [
                file
                for file in visible
                if file not in inside and (file.is_symlink() or not file.is_dir())
            ]
            if others:
                warnings.warn(
                    f"{len(others)} of the files in {path} are left out, {others[0]} for one: they "
                    "have no image ending, or are links to no file; name them to have them read",
                    stacklevel=2,
                )
            if not inside:
                raise ValueError(f"{path} holds no images; name another folder, or files")
            yield from sorted(inside)
        elif path.is_file():
            yield path
        else:
            raise ValueError(f"no image at {path}; name image files or folders of them")


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
