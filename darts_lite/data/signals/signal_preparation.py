"""The one way for a row of numbers to become what a net sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from darts_lite.data.class_balance import list_names
from darts_lite.data.preparation import (
    Checks,
    Measured,
    NamedItem,
    Preparation,
    PreparedItem,
    check_values,
    is_number,
)
from darts_lite.data.signals.signal_files import (
    LONGEST,
    MOST_CHANNELS,
    SIGNALS,
    describe_gap,
    find_gaps,
    fit_length,
    read_rows,
)
from darts_lite.storage.components import class_path


@dataclass(frozen=True)
class SignalPreparation(Preparation):
    """Describes what is done to signals before a net sees them, alike in training and afterwards.

    Longer rows are cut at their end; of shorter ones the last value is repeated.

    Args:
        channels: Number of channels.
        size: Number of values of each channel.
        mean: Mean of each channel, of the training rows.
        std: Deviation of each channel, likewise.
        names: Names of the channels; empty if the training's file had none.
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    names: tuple[str, ...] = ()

    kind = SIGNALS
    values = "signals"
    task = "time-series-classification"
    untried = "other sensors, places and people"
    axes = 1
    scale = "the training's scale"

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and values of a row."""
        return self.channels, self.size

    @property
    def measured(self) -> Measured:
        return Measured("value")

    def read(self, path: Path) -> PreparedItem:
        """Reads a file of one signal; raises ValueError if there are several, or it is no file."""
        first, *others = self.read_all(path)
        if others:
            raise ValueError(f"{path} has {1 + len(others)} signals; give a file of one")
        if isinstance(first.item, ValueError):
            raise first.item
        return first.item

    def read_all(self, path: Path) -> list[NamedItem]:
        """Reads all signals of a file; raises ValueError if they are none, or of other channels.

        Those with gaps have errors in their place. Of those that are cut, the first one is doubted.
        """
        rows, labels = read_rows(path, self.names)
        if rows.shape[1] != self.channels:
            raise ValueError(
                f"{path} has signals of {rows.shape[1]} channels; this net takes {self.channels}"
            )
        values = torch.from_numpy(fit_length(rows, self.size))
        cut = np.isfinite(rows[:, 0, self.size :]).any(axis=1)  # (N,)
        doubts: list[str | None] = [None] * len(rows)
        if cut.any():
            doubts[int(cut.argmax())] = f"and {cut.sum() - 1} others are cut to {self.size} values"
        items: list[PreparedItem | ValueError] = [*map(PreparedItem, values, doubts)]
        gaps = find_gaps(rows)
        _, first = np.unique(gaps[:, 0], return_index=True)  # of each row
        for gap in gaps[first]:
            items[gap[0]] = describe_gap(path, gap)
        names = (f"{path} row {place}" for place in range(1, len(rows) + 1))
        return [*map(NamedItem, names, items, labels or (None,) * len(rows))]

    def describe(self) -> str:
        """Returns in words what signals are brought to."""
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        named = f" ({list_names(self.names)})" if self.names else ""
        return f"{self.size:,} values, {channels}{named}"

    def describe_crop(self) -> str:
        """Returns in words what is seen of rows of another length."""
        return "longer rows are cut at their end; of shorter ones the last value is repeated"

    def front(self) -> nn.Module:
        """Returns what makes maps ``(B, C, 1, T)`` of rows ``(B, C, T)``."""
        return nn.Unflatten(2, (1, self.size))

    def front_code(self) -> str:
        return f"nn.Unflatten(2, (1, {self.size}))"

    def check_files(self) -> None:
        """Does nothing, as files of numbers need no other package."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as files keep them."""
        return {
            "class_path": class_path(type(self)),
            "channels": self.channels,
            "size": self.size,
            "mean": list(self.mean),
            "std": list(self.std),
            **({"names": list(self.names)} if self.names else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SignalPreparation":
        """Builds it from what `to_dict` returned; raises ValueError if a value is out of range."""
        values = {"names": [], **values}
        check_values(values, CHECKS, cls.kind.words)
        if len(values["names"]) not in (0, values["channels"]):
            raise ValueError("names of its signals must be one for each channel, or none")
        if not len(values["mean"]) == len(values["std"]) == values["channels"]:
            raise ValueError("mean and std of its signals must have a value for each channel")
        lists = (tuple(values[name]) for name in ("mean", "std", "names"))
        return cls(values["channels"], values["size"], *lists)


CHECKS: Checks = {
    "channels": (
        lambda value: type(value) is int and 1 <= value <= MOST_CHANNELS,
        f"an integer of 1 to {MOST_CHANNELS}",
    ),
    "size": (
        lambda value: type(value) is int and 1 <= value <= LONGEST,
        f"an integer of 1 to {LONGEST}",
    ),
    "mean": (
        lambda value: isinstance(value, list) and all(map(is_number, value)),
        "a list of numbers",
    ),
    "std": (
        lambda value: isinstance(value, list) and all(is_number(one) and one > 0 for one in value),
        "a list of numbers above 0",
    ),
    "names": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of texts",
    ),
}
"""Values that describe a preparation -> their checks, and what is allowed in words."""


def measure_signals(rows: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and deviation of each channel of rows ``(N, C, T)``.

    A channel that never changes gets the deviation 1, so it becomes 0 to a net.
    """
    variance, centre = torch.var_mean(rows.double(), dim=(0, 2), correction=0)  # (C,)
    std = variance.sqrt()
    least = 1e-6 * centre.abs().clamp_min(1e-30)  # what rounding to 32 bits makes of a constant
    return tuple(centre.tolist()), tuple(std.where(std > least, 1.0).tolist())
