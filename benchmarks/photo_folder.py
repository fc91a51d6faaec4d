"""Makes a folder of 600 colour photographs of five classes, one of them rare, without a network.

Each class is one photograph that scikit-image or scikit-learn ships (`pip install scikit-image
scikit-learn`). An image is a random square of it, turned a little, in another light. Training
images come from the left half of what the photograph shows, test images from the right half, with
a gap between them: no pixel of a test image was trained on.

It is no hard task nevertheless: a class is one thing in one place, and its right half is much like
its left one.
"""

import argparse
import random
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageEnhance


class View(NamedTuple):
    """A photograph in a package, and where in it the thing is, in shares of its sides."""

    place: str
    left: float = 0.0
    right: float = 1.0
    top: float = 0.0
    bottom: float = 1.0


PHOTOGRAPHS = {
    "cat": View("skimage/data/chelsea.png", 0.15, 1.0),
    "coffee": View("skimage/data/coffee.png", 0.08, 0.9),
    "flower": View("sklearn/datasets/images/flower.jpg", 0.2, 0.78, 0.1, 0.9),
    "motorcycle": View("skimage/data/motorcycle_left.png", 0.12, 0.98, 0.1),
    "temple": View("sklearn/datasets/images/china.jpg", 0.06, 0.58),
}
"""Class -> a photograph of it."""
STRANGE = {
    "astronaut": View("skimage/data/astronaut.png"),
    "brick": View("skimage/data/brick.png"),
    "grass": View("skimage/data/grass.png"),
    "retina": View("skimage/data/retina.jpg"),
    "rocket": View("skimage/data/rocket.jpg"),
    "stars": View("skimage/data/hubble_deep_field.jpg"),
    "tissue": View("skimage/data/ihc.png"),
}
"""Photographs of what is none of the classes."""
RARE = "cat"
COUNTS = {"train": (115, 20), "test": (24, 24)}
"""Part -> number of images of each class, and of the rare one: 600 in all."""
PARTS = {"train": (0.0, 0.5), "test": (0.52, 1.0)}
"""Part -> where in the view its images begin and end, in shares of the width."""
WHOLE = 0.0, 1.0
SIDE = 96  # pixels of an image


def find_photograph(view: View) -> Image.Image:
    """Returns what a view shows; raises ValueError if the package is not installed."""
    package, _, rest = view.place.partition("/")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"there is no package {package}; pip install scikit-image scikit-learn")
    whole = Image.open(Path(found.submodule_search_locations[0]) / rest).convert("RGB")
    width, height = whole.size
    return whole.crop(
        (
            round(view.left * width),
            round(view.top * height),
            round(view.right * width),
            round(view.bottom * height),
        )
    )


def take_image(shown: Image.Image, part: tuple[float, float], draw: random.Random) -> Image.Image:
    """Returns a random square of a part of what is shown, turned, in another light."""
    begin, end = (round(share * shown.width) for share in part)
    strip = shown.crop((begin, 0, end, shown.height))
    side = round(min(strip.size) * draw.uniform(0.55, 0.95))
    left, top = (draw.randint(0, most - side) for most in strip.size)
    square = strip.crop((left, top, left + side, top + side))
    turned = square.rotate(draw.uniform(-12, 12), Image.Resampling.BICUBIC)
    edge = round(0.11 * side)  # what turning has left black
    image = turned.crop((edge, edge, side - edge, side - edge)).resize((SIDE, SIDE))
    lamp = [draw.uniform(0.8, 1.2) for _ in range(3)]  # its colour
    channels = [
        channel.point([min(255, round(value * gain)) for value in range(256)])
        for channel, gain in zip(image.split(), lamp, strict=True)
    ]
    image = Image.merge("RGB", channels)
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(draw.uniform(0.55, 1.45))
    return image


def write_photos(folder: Path, seed: int = 0) -> None:
    """Writes ``<folder>/train/<class>/…`` and ``<folder>/test/<class>/…``."""
    draw = random.Random(seed)
    for part, (many, few) in COUNTS.items():
        for name, view in PHOTOGRAPHS.items():
            shown = find_photograph(view)
            inside = folder / part / name
            inside.mkdir(parents=True, exist_ok=True)
            for number in range(few if name == RARE else many):
                image = take_image(shown, PARTS[part], draw)
                image.save(inside / f"{number:03}.jpg", quality=90)


def write_kind(
    folder: Path, views: Mapping[str, View], part: tuple[float, float], count: int, seed: int = 99
) -> None:
    """Writes as many images of a part of each view, made in the same way."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, view in views.items():
        shown = find_photograph(view)
        for number in range(count):
            image = take_image(shown, part, draw)
            image.save(folder / f"{name}-{number:02}.jpg", quality=90)


def main(args: Sequence[str] | None = None) -> None:
    """Writes the photographs into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(args)
    write_photos(options.folder, options.seed)


if __name__ == "__main__":
    main()
