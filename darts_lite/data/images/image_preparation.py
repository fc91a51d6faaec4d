"""The one way for an image file to become what a net sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_lite.data.images.foreground import DIGITS, cut_out_figure
from darts_lite.data.images.image_files import IMAGES, GreyRange, crop_middle, read_image
from darts_lite.data.preparation import (
    Checks,
    Measured,
    Preparation,
    PreparedItem,
    check_values,
    is_number,
    round_values,
)

DEEP_VALUES = "grey values of more than 8 bits"
LARGEST_IMAGE = 1024  # largest side of an image, in pixels


@dataclass(frozen=True)
class ImagePreparation(Preparation):
    """Describes what is done to images before a net sees them, alike in training and afterwards.

    The middle is cut out of an image that is not square, unless a figure is cut out.

    Args:
        channels: Number of channels, 1 or 3 if images are files.
        size: Height and width in pixels.
        greys: Range of grey values of more than eight bits. Where it is that of eight bits, pixels
            are rounded to 255 steps, as a data set in memory holds them.
        figure: Share of a side, in 0..1, to which what is drawn on a plain background is brought,
            light on black and centred; None leaves images as they are.
        mean: Mean of each channel, of pixels in 0..1; empty until it is measured.
        std: Deviation of each channel, likewise.
    """

    channels: int
    size: int
    greys: GreyRange = GreyRange()
    figure: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    kind = IMAGES
    values = "pixels"
    task = "image-classification"
    untried = "other cameras, lights, hands and backgrounds"
    scale = "0 to 1"

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of an image."""
        return self.channels, self.size, self.size

    @property
    def measured(self) -> Measured:
        black, white = self.greys
        if white is None:
            return Measured("pixel of 0 to 255", one=255.0)
        return Measured(f"grey value of {black:.9g} to {white:.9g}", black, white)

    def read(self, path: Path) -> PreparedItem:
        """Reads an image file as a net's input before normalisation.

        Raises ValueError if the file cannot be read.
        """
        pixels, doubt = read_image(path, self.greys)
        if self.figure is None:
            seen = crop_middle(pixels, self.channels, self.size)
        else:
            seen, unclear = cut_out_figure(pixels, self.size, self.figure)
            doubt = unclear or doubt
        return PreparedItem(round_pixels(seen) if self.greys.white is None else seen, doubt)

    def check_files(self) -> None:
        """Raises ValueError if no image file has as many channels."""
        if self.channels not in (1, 3):
            raise ValueError(f"this net needs {self.channels} channels, an image file has 1 or 3")

    def describe(self) -> str:
        """Returns in words what images are brought to."""
        kind = {1: "grey", 3: "colour"}.get(self.channels, f"{self.channels} channels")
        said = f"{self.size} x {self.size} pixels, {kind}"
        if self.greys.white is not None:
            black, white = self.greys
            said += f", {DEEP_VALUES} from {black:.9g} to {white:.9g}, all others from 0 to 255"
        if self.figure is not None:
            said += ", figures cut out, centred and made light on black"
        return said

    def describe_crop(self) -> str:
        """Returns in words what is seen of images that are not square."""
        middle = "the middle is cut out of those that are not square"
        return middle if self.figure is None else f"{middle} and show no figure"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as files keep them."""
        return {
            "channels": self.channels,
            "size": self.size,
            "crop": "middle" if self.figure is None else "figure",
            "black": self.greys.black,
            "white": self.greys.white,
            "range_of": None if self.greys.white is None else DEEP_VALUES,
            "figure": self.figure,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ImagePreparation":
        """Builds it from what `to_dict` returned; raises ValueError if a value is out of range."""
        check_values(values, CHECKS, cls.kind.words)
        black, white = values["black"], values["white"]
        if white is not None and not black < white:
            raise ValueError(f"black of its images is {black} and white {white}; white is more")
        if not len(values["mean"]) == len(values["std"]) == values["channels"]:
            raise ValueError("mean and std of its images must have a value for each channel")
        return cls(
            values["channels"],
            values["size"],
            GreyRange(black, white),
            values["figure"],
            tuple(values["mean"]),
            tuple(values["std"]),
        )

    @classmethod
    def collect_parts(cls, content: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns the values of a preparation whose parts a checkpoint of earlier versions holds.

        These cut figures out whatever the data set was; only for digits it is what their nets were
        trained on.
        """
        old = {name: content.get(name) for name in ("image_size", "mean", "std")}
        if None in old.values():
            return None
        data = content.get("data")
        arguments = data.get("init_args") if isinstance(data, Mapping) else None
        dataset = arguments.get("dataset") if isinstance(arguments, Mapping) else None
        return {
            "channels": len(old["mean"]) if isinstance(old["mean"], list) else None,
            "size": old["image_size"],
            "black": 0.0,
            "white": None,
            "figure": content.get("figure") if dataset in DIGITS else None,
            "mean": old["mean"],
            "std": old["std"],
        }


def _are_shares(value: object, above: float) -> bool:
    return isinstance(value, list) and all(is_number(each) and above < each <= 1 for each in value)


CHECKS: Checks = {
    "channels": (lambda value: type(value) is int and value >= 1, "an integer of at least 1"),
    "size": (
        lambda value: type(value) is int and 1 <= value <= LARGEST_IMAGE,
        f"an integer of 1 to {LARGEST_IMAGE}",
    ),
    "crop": (lambda value: value in (None, "middle", "figure"), "middle or figure"),
    "black": (is_number, "a number"),
    "white": (lambda value: value is None or is_number(value), "a number, or null"),
    "figure": (
        lambda value: value is None or is_number(value) and 0 <= value <= 1,
        "a number of 0 to 1, or null",
    ),
    "mean": (lambda value: _are_shares(value, -1e-9), "a list of numbers of 0 to 1"),
    "std": (lambda value: _are_shares(value, 0.0), "a list of numbers above 0, at most 1"),
}
"""Values that describe a preparation -> their checks, and what is allowed in words."""


def round_pixels(pixels: Tensor) -> Tensor:
    """Rounds values in 0..1 to those that eight bits hold."""
    return round_values(pixels.mul(255)).div(255)


def measure_channels(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and deviation in 0..1 of each channel of images ``(N, C, H, W)``."""
    if images.dtype != torch.uint8:
        variance, centre = torch.var_mean(images.double(), dim=(0, 2, 3), correction=0)  # (C,)
        return tuple(centre.tolist()), tuple(variance.clamp_min(1e-12).sqrt().tolist())
    # Sums over the histogram of the 256 values, which need no float copy of the images.
    planes = images.unbind(1)
    counts = torch.stack([plane.flatten().bincount(minlength=256) for plane in planes])  # (C, 256)
    shares = counts.double() / counts.sum(dim=1, keepdim=True)  # (C, 256)
    values = torch.arange(256, dtype=torch.float64, device=images.device) / 255
    mean = shares @ values  # (C,)
    std = (shares @ values.square() - mean.square()).clamp_min(1e-12).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())
