"""How a file becomes what a net sees; it travels with the net."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from darts_lite.data.file_lists import FileKind
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.components import find_loaded
from darts_lite.storage.foreign_settings import CHANGED

LARGEST = 3.4e38  # largest number in 32 bits, in which networks compute

USUAL = "darts_lite.ImagePreparation"  # what descriptions without a class are of
Checks = Mapping[str, tuple[Callable[[Any], bool], str]]
"""Values -> their checks, and what is allowed in words."""


def round_values(values: Tensor) -> Tensor:
    """Rounds to whole numbers, halves to even ones, on one thread.

    `Tensor.round` shares even a small image out among threads, and on a busy machine they wait for
    each other longer than all else that reading a file takes.
    """
    return torch.from_numpy(np.rint(values.numpy()))


class Measured(NamedTuple):
    """What a device measures, and which of these values are 0 and 1 to an exported net."""

    words: str
    zero: float = 0.0
    one: float = 1.0


class PreparedItem(NamedTuple):
    """An item as an exported net takes it."""

    values: Tensor  # as `Preparation.shape` says
    doubt: str | None = None  # why the net's answer may mean nothing


class NamedItem(NamedTuple):
    """One of the items of a file, or why it cannot be read."""

    name: str
    item: PreparedItem | ValueError
    label: str | None = None  # its class, where the file tells it


class Preparation(ABC):
    """Describes what is done to items before a net sees them, alike in training and afterwards.

    A file is read as values; `front` makes maps of these, which are normalised with `mean` and
    `std`, one of each for each channel. To add a kind: a subclass with a public name.
    """

    kind: ClassVar[FileKind]
    """Files that hold such items."""
    values: ClassVar[str]
    """What an exported net takes, ``pixels`` for one: the name of its input."""
    scale: ClassVar[str]
    """The range of these values, in words."""
    task: ClassVar[str]
    """What the Hub of Hugging Face calls it to tell classes of such items."""
    untried: ClassVar[str]
    """What a test does not tell of, for instance ``other cameras and lights``."""
    axes: ClassVar[int] = 2
    """Number of axes of the maps; with 1 their height is 1."""
    channels: int
    size: int  # height and width of the maps, or the width
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of an item's values."""

    @property
    def measured(self) -> Measured | None:
        """What a device measures; None where `front` computes something else than such values."""
        return None

    @abstractmethod
    def read(self, path: Path) -> PreparedItem:
        """Reads a file; raises ValueError if that is not possible."""

    def read_all(self, path: Path) -> list[NamedItem]:
        """Reads all items of a file; raises ValueError as `read` does, unless there are others."""
        return [NamedItem(str(path), self.read(path))]

    @abstractmethod
    def describe(self) -> str:
        """Returns in words what items are brought to."""

    @abstractmethod
    def describe_crop(self) -> str:
        """Returns in words what is seen of items of another size."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as files keep them; ``class_path`` unless it is `USUAL`."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Builds it from what `to_dict` returned; raises ValueError if a value is out of range."""

    def front(self) -> nn.Module:
        """Returns what makes maps ``(B, C, H, W)`` of values ``(B, *shape)``.

        If it is a class of this package, its code needs ``torch``, ``nn`` and ``F`` alone, as it
        becomes a part of standalone files.
        """
        return nn.Identity()

    def front_code(self) -> str:
        """Returns a call that builds `front`, from torch's ``nn`` or this package."""
        return "nn.Identity()"

    @abstractmethod
    def check_files(self) -> None:
        """Raises ValueError if no file can hold such items, or nothing here reads them."""

    @classmethod
    def collect_parts(cls, content: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns the values whose parts a checkpoint of earlier versions holds; None without."""
        return None


def read_preparation(checkpoint: Checkpoint) -> Preparation | None:
    """Returns the preparation that a checkpoint holds; None if it has none.

    Raises:
        ValueError: if it was changed.
    """
    content = checkpoint.content
    try:
        if "preparation" not in content:
            values = _find_kind(USUAL).collect_parts(content)
        else:
            values = content["preparation"]
        return None if values is None else build_preparation(values)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}; {CHANGED}") from None


def build_preparation(values: Any) -> Preparation:
    """Builds what `Preparation.to_dict` described; raises ValueError if a value is wrong."""
    if not isinstance(values, Mapping):
        raise ValueError(f"preparation is {short(values)}, not a mapping")
    return _find_kind(values.get("class_path", USUAL)).from_dict(values)


def name_items(content: Mapping[str, Any]) -> str | None:
    """Returns what the items of a run are called, by its summary; None where no file holds one."""
    if "preparation" not in content:  # of earlier versions, which knew nothing else
        return "images"
    seen = content["preparation"]
    return None if seen is None else build_preparation(seen).kind.words


def has_int8_files(content: Mapping[str, Any]) -> bool:
    """Returns whether the net of a run can be a file in int8, by the run's summary."""
    seen = content.get("preparation")
    return seen is None or build_preparation(seen).measured is not None


def _find_kind(path: object) -> type[Preparation]:
    kind: type[Preparation] = find_loaded("preparation", path, Preparation)
    return kind


def check_values(values: Mapping[str, Any], checks: Checks, words: str) -> None:
    """Raises ValueError if one of the values is out of its range; ``words`` names the items."""
    for name, (check, allowed) in checks.items():
        if not check(values.get(name)):
            raise ValueError(
                f"{name} of its {words} is {short(values.get(name))}; it must be {allowed}"
            )


def is_number(value: object) -> bool:
    """Returns whether a value is a number that 32 bits hold."""
    return isinstance(value, int | float) and abs(value) <= LARGEST
