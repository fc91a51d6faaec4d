"""The one way for a recording to become what a net sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_lite.data.preparation import Checks, Preparation, PreparedItem, check_values, is_number
from darts_lite.data.sounds.log_mel import LogMel
from darts_lite.data.sounds.sound_files import HIGHEST_RATE, SOUNDS, check_packages, read_sound

LARGEST_MAP = 256  # largest number of bands and frames
MOST_SAMPLES = 2**22  # largest number of samples of a sound


@dataclass(frozen=True)
class SoundPreparation(Preparation):
    """Describes what is done to recordings before a net hears them, in training and afterwards.

    The middle is cut out of longer ones, and shorter ones get silence on both sides.

    Args:
        rate: Samples per second.
        samples: Number of samples, a multiple of ``size``.
        size: Number of mel bands and of frames, see `LogMel`.
        mean: Mean of the map, in a tuple; empty until it is measured.
        std: Deviation of the map, likewise.
    """

    rate: int
    samples: int
    size: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    kind = SOUNDS
    values = "samples"
    task = "audio-classification"
    untried = "other microphones, rooms and voices"
    scale = "-1 to 1"
    channels = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of samples, in a tuple."""
        return (self.samples,)

    def read(self, path: Path) -> PreparedItem:
        """Reads a recording as samples ``(samples,)`` in -1..1.

        Raises ValueError if the file cannot be read.
        """
        return PreparedItem(*read_sound(path, self.rate, self.samples))

    def front(self) -> LogMel:
        """Returns what makes log-mel maps of samples."""
        return LogMel(self.rate, self.samples, self.size)

    def front_code(self) -> str:
        """Returns a call that builds `front`."""
        return f"LogMel({self.rate}, {self.samples}, {self.size})"

    def check_files(self) -> None:
        """Raises ValueError if what reads recordings is not installed."""
        check_packages()

    def describe(self) -> str:
        """Returns in words what recordings are brought to."""
        return (
            f"{self.samples / self.rate:.3g} seconds of {self.rate} samples each, one channel, "
            f"seen as {self.size} mel bands by {self.size} frames"
        )

    def describe_crop(self) -> str:
        """Returns in words what is heard of recordings of other lengths."""
        return "the middle is cut out of longer ones, shorter ones get silence on both sides"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as files keep them."""
        return {
            "class_path": "darts_lite.SoundPreparation",
            "channels": 1,
            "size": self.size,
            "rate": self.rate,
            "samples": self.samples,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SoundPreparation":
        """Builds it from what `to_dict` returned; raises ValueError if a value is out of range."""
        check_values(values, CHECKS, cls.kind.words)
        rate, samples, size = values["rate"], values["samples"], values["size"]
        if samples % size:
            raise ValueError(f"samples of its sounds must be a multiple of {size}, got {samples}")
        return cls(rate, samples, size, tuple(values["mean"]), tuple(values["std"]))


def _is_count(value: object, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_one(value: object) -> bool:
    return isinstance(value, list) and len(value) == 1 and is_number(value[0])


CHECKS: Checks = {
    "channels": (lambda value: value == 1, "1"),
    "size": (lambda value: _is_count(value, LARGEST_MAP), f"an integer of 1 to {LARGEST_MAP}"),
    "rate": (lambda value: _is_count(value, HIGHEST_RATE), f"an integer of 1 to {HIGHEST_RATE}"),
    "samples": (lambda value: _is_count(value, MOST_SAMPLES), f"an integer up to {MOST_SAMPLES}"),
    "mean": (_is_one, "a list of one number"),
    "std": (lambda value: _is_one(value) and value[0] > 0, "a list of one number above 0"),
}
"""Values that describe a preparation -> their checks, and what is allowed in words."""
