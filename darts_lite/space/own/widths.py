"""Numbers of channels that a search chooses, and the layers that show which channels they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Source:
    """A choice of a number of channels; two of them are never equal.

    Args:
        options: The numbers, in rising order.
        name: What ties it to others, or None.
    """

    options: tuple[int, ...]
    name: str | None

    def __deepcopy__(self, memo: object) -> Self:
        return self  # copies of a layer are chosen alike


class Part(NamedTuple):
    """A run of channels, of which the first ones are kept.

    Attributes:
        source: The choice; None for channels that are always there.
        fixed: The number of these; 1 where there is a choice.
        steps: What makes the number of channels of the chosen one, in order: ``*`` or ``//``, and
            by what.
    """

    source: Source | None
    fixed: int
    steps: tuple[tuple[str, int], ...] = ()

    def count(self, chosen: int) -> int:
        """Returns the number of channels that are kept."""
        count = chosen if self.source is not None else self.fixed
        for sign, number in self.steps:
            count = count * number if sign == "*" else count // number
        return count

    def then(self, sign: str, number: int) -> "Part":
        return self._replace(steps=(*self.steps, (sign, number)))

    @property
    def most(self) -> int:
        return self.count(1 if self.source is None else self.source.options[-1])


class Width(int):
    """A number of channels that is chosen: of a layer, and of all layers that read it.

    It is the largest of its options, and can be given to torch's layers like any number. Layers
    keep it, and so a search knows which of them belong together. ``width * k`` stands for k values
    of each channel, one behind another, as they are after flattening a map; ``first + second`` for
    channels behind each other, as they are after concatenating two maps; ``width // k`` for a
    smaller layer beside.
    """

    parts: tuple[Part, ...]

    def __new__(cls, most: int, options: Sequence[int], name: str | None = None) -> Self:
        """Returns a width.

        Args:
            most: The largest number of channels, which is an option.
            options: All numbers that may be chosen.
            name: Ties all widths of this name to each other; None makes a choice of its own.

        Raises:
            ValueError: if an option is below 1, or `most` is not the largest.
        """
        rising = tuple(sorted(set(map(int, options))))
        if not rising or rising[0] < 1 or rising[-1] != most:
            raise ValueError(
                f"Width needs the largest of its options first, all of at least 1; got {most} "
                f"and {tuple(options)}"
            )
        width = int.__new__(cls, most)
        width.parts = (Part(Source(rising, name), 1),)
        return width

    @classmethod
    def _of(cls, parts: tuple[Part, ...]) -> "Width":
        width = int.__new__(cls, sum(part.most for part in parts))
        width.parts = parts
        return width

    def __mul__(self, other: int) -> "Width":
        if isinstance(other, Width) or type(other) is not int or other < 1:
            return NotImplemented
        return self._of(tuple(part.then("*", other) for part in self.parts))

    __rmul__ = __mul__

    def __add__(self, other: int) -> "Width":
        if not isinstance(other, int):
            return NotImplemented
        return self._of((*self.parts, *parts_of(other)))

    def __radd__(self, other: int) -> "Width":
        if not isinstance(other, int):
            return NotImplemented
        return self._of((*parts_of(other), *self.parts))

    def __floordiv__(self, other: int) -> int:
        if isinstance(other, Width) or type(other) is not int or other < 1:
            return int(self) // other
        if other == 1:  # as torch's convolutions do
            return self
        smaller = self._of(tuple(part.then("//", other) for part in self.parts))
        (part, *others), source = smaller.parts, smaller.parts[0].source
        if others or source is None or part.count(source.options[0]) < 1:
            raise ValueError(
                f"a Width of {int(self)} channels cannot be divided by {other}: its smallest "
                "option is below that, or it stands for several layers"
            )
        return smaller

    def _refuse(self, other: object) -> int:
        raise TypeError(
            "a number that is computed from a Width does not follow what is chosen: compute it in "
            "forward from the shape of a map, or of int(width), which stays"
        )

    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __sub__ = __rsub__ = _refuse  # type: ignore

    def __deepcopy__(self, memo: object) -> "Width":
        return self

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


def parts_of(width: int) -> tuple[Part, ...]:
    """Returns the parts of a number of channels."""
    if isinstance(width, Width):
        return width.parts
    return (Part(None, int(width)),) if width else ()


SIDES: Mapping[type[nn.Module], tuple[str, str]] = {
    nn.Linear: ("in_features", "out_features"),
    nn.Conv1d: ("in_channels", "out_channels"),
    nn.Conv2d: ("in_channels", "out_channels"),
    nn.Conv3d: ("in_channels", "out_channels"),
    nn.BatchNorm1d: ("num_features", "num_features"),
    nn.BatchNorm2d: ("num_features", "num_features"),
    nn.BatchNorm3d: ("num_features", "num_features"),
}
"""Layers whose channels can be chosen, with the settings that hold what enters and leaves."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def find_sides(module: nn.Module) -> tuple[str, str] | None:
    """Returns the names of the settings in `SIDES`; None if the layer's channels are fixed."""
    return next((names for kind, names in SIDES.items() if isinstance(module, kind)), None)


def find_widths(module: nn.Module) -> list[Width]:
    """Returns the widths that a module holds itself, in its settings.

    Raises ValueError if it is a layer of torch's whose channels cannot be chosen.
    """
    held = [value for value in vars(module).values() if isinstance(value, Width)]
    known = find_sides(module) is not None
    own = type(module).__module__.startswith("torch.nn.")
    within = [one for value in vars(module).values() if isinstance(value, tuple) for one in value]
    if own and (held or any(isinstance(one, Width) for one in within)) and not known:
        raise ValueError(
            f"the channels of {type(module).__name__} cannot be chosen; a Width fits "
            f"{', '.join(kind.__name__ for kind in SIDES)}"
        )
    names = ("groups", "in_channels", "out_channels")
    groups = {parts_of(getattr(module, name, 1)) for name in names}
    if held and getattr(module, "groups", 1) != 1 and len(groups) > 1:
        raise ValueError(
            "the channels of a convolution in groups cannot be chosen, but for a depthwise one, "
            "whose in_channels, out_channels and groups are the same Width"
        )
    return held


def place_kept(parts: Sequence[Part], chosen: Mapping[Source, int]) -> Tensor:
    """Returns the places of the channels that are kept."""
    places, start = [], 0
    for part in parts:
        count = part.count(1 if part.source is None else chosen[part.source])
        places.append(torch.arange(start, start + count))
        start += part.most
    return torch.cat(places)


def mask_parts(parts: Sequence[Part], mixing: Mapping[Source, Tensor]) -> Tensor:
    """Returns how far each channel counts ``(channels,)``.

    ``mixing`` holds the mixing weights ``(options,)`` of each choice: a channel counts by the sum
    of those options that keep it.
    """
    (row, *_) = mixing.values()
    masks = []
    for part in parts:
        if part.source is None:
            masks.append(row.new_ones(part.fixed))
            continue
        counts = [part.count(option) for option in part.source.options]
        kept = torch.tensor(counts, device=row.device)
        place = torch.arange(part.most, device=row.device)
        masks.append((mixing[part.source] * (place[:, None] < kept)).sum(dim=-1))
    return torch.cat(masks)


def list_sources(module: nn.Module) -> list[Source]:
    """Returns the choices whose numbers a module holds in its settings."""
    held = [value for value in vars(module).values() if isinstance(value, Width)]
    found = {part.source: None for width in held for part in width.parts}
    return [source for source in found if source is not None]
