"""Digits as image files of all kinds."""

from itertools import cycle
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image
from torch import Tensor

from darts_lite.data.images.image_data import ImageData

MODES = ("L", "1", "LA", "P", "RGB", "RGBA", "I;16", "CMYK")
ENDINGS = {"CMYK": "tif"}


def colours(random: Random) -> tuple[list[int], list[int]]:
    """Ink and paper that can be told from each other."""
    while True:
        ink, paper = ([random.randrange(256) for _ in range(3)] for _ in range(2))
        if sum((a - b) ** 2 for a, b in zip(ink, paper, strict=True)) > 120**2:
            return ink, paper


def picture(pixels: Tensor, mode: str, random: Random) -> Image.Image:
    """A digit ``(28, 28)`` of 0 to 255 in a mode, with a size and colours that are drawn."""
    side = random.randrange(20, 300)
    digit = Image.fromarray(pixels.numpy()).resize((side, side), Image.Resampling.BICUBIC)
    light = random.random() < 0.5
    if mode in ("L", "1", "LA"):
        return digit.point(lambda value: value if light else 255 - value).convert(mode)
    if mode == "I;16":
        return Image.fromarray(np.asarray(digit).astype("uint16") * 257)
    ink, paper = colours(random)
    wide, high = side + random.randrange(side // 4), side + random.randrange(side // 4)
    sheet = Image.new("RGB", (wide, high), tuple(paper))
    sheet.paste(tuple(ink), ((wide - side) // 2, (high - side) // 2), digit)
    if mode == "RGBA":
        clear = Image.new("RGBA", digit.size, (*ink, 0))
        clear.putalpha(digit)
        return clear if sum(ink) < 500 else sheet.convert("RGBA")
    return sheet.quantize() if mode == "P" else sheet.convert(mode)


def write_pictures(data: ImageData, folder: Path, count: int) -> list[int]:
    """Test images of a data set as files of all modes; returns their labels."""
    random, labels = Random(0), []
    data.setup("test")
    pixels = data.items.test_items[:count, 0]
    folder.mkdir()
    for number, (image, mode) in enumerate(zip(pixels, cycle(MODES), strict=False)):
        name = f"{number:03}-{mode.replace(';', '')}.{ENDINGS.get(mode, 'png')}"
        picture(image, mode, random).save(folder / name)
    for _, batch in data.test_dataloader():
        labels += batch.tolist()
    return labels[:count]
