"""Options of a chain of layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from reprlib import repr as short
from typing import Any

from darts_lite.space.groups import Choices
from darts_lite.space.layers.chain import (
    FULL,
    LARGEST_EXPANSION,
    LARGEST_HEAD,
    LARGEST_KERNEL,
    LARGEST_WIDTH,
    MOST_BLOCKS,
    PLAIN,
    RESIDUAL,
    Block,
    Chain,
)
from darts_lite.space.maps import check_axes

OFF = "off"
HALF, STEM = "half", "stem"
RANGES = {
    "stem_kernels": (1, LARGEST_KERNEL),
    "stem_widths": (1, LARGEST_WIDTH),
    "stages": (1, MOST_BLOCKS),
    "kernels": (1, LARGEST_KERNEL),
    "widths": (1, LARGEST_WIDTH),
    "expansions": (0, LARGEST_EXPANSION),
    "heads": (1, LARGEST_HEAD),
}
"""Settings that are lists of numbers, with the least and the largest."""


@dataclass(frozen=True)
class ChainOptions:
    """Chains of a stem and of stages; all blocks of a stage have the same width.

    The first block of a stage changes the width, and may halve the map. Each other one is left out,
    plain or residual, so the depth of every stage is a choice.

    Args:
        stem_kernels: Sides of the stem's kernel, odd.
        stem_widths: Numbers of channels behind the stem.
        stages: Largest number of blocks of each stage.
        kernels: Sides of the blocks' kernels, odd.
        widths: Numbers of channels of a stage.
        expansions: Factors by which a block widens the map inside, 0 leaves it as it is; ``full``,
            as the first, is one full convolution instead of a depthwise and a 1x1 one.
        placements: Where the map is halved: names of places, as ``stem 2``. ``half`` reduces the
            image, ``stem`` is the stem, a number the first block of this stage, from 1 on.
        links: How a block that is not the first of its stage may stand: ``off``, ``plain`` or
            ``residual``.
        heads: Sides of the map of means that the linear layer reads; 1 is the mean over the map.
        name: Name of the space, recorded in the architecture file.
        axes: Number of axes of the maps: 2 for images; 1 for signals, which are maps of height 1,
            with kernels of 1 x k, strides and windows along time.

    Raises:
        ValueError: if a setting is empty or out of its range.
    """

    stem_kernels: tuple[int, ...] = (3, 5)
    stem_widths: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
    stages: tuple[int, ...] = (3, 3, 2)
    kernels: tuple[int, ...] = (3, 5, 7)
    widths: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64)
    expansions: tuple[int | str, ...] = (FULL, 0, 1, 2, 3, 4)
    placements: tuple[str, ...] = (
        *("stem", "stem 1", "stem 2", "stem 3", "stem 1 2", "stem 1 3", "stem 2 3"),
        *("half", "half 1", "half 2", "half 3", "half stem", "half stem 2", "1", "1 2", "1 3"),
    )
    links: tuple[str, ...] = (OFF, PLAIN, RESIDUAL)
    heads: tuple[int, ...] = (1, 2, 3, 4)
    name: str = "layers"
    axes: int = 2

    def __post_init__(self) -> None:
        check_axes(self.axes)
        for setting in (
            one.name for one in fields(ChainOptions) if one.name not in ("name", "axes")
        ):
            values = getattr(self, setting)
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise ValueError(f"{setting} must be a list, got {short(values)}")
            object.__setattr__(self, setting, tuple(values))  # files hold lists
        for setting, (least, most) in RANGES.items():
            numbers = getattr(self, setting)
            if setting == "expansions" and numbers[:1] == (FULL,):
                numbers = numbers[1:] or (0,)
            integers = all(type(number) is int for number in numbers)
            if not (numbers and integers and least <= min(numbers) <= max(numbers) <= most):
                also = f", behind {FULL!r} if that is one" * (least == 0)
                raise ValueError(
                    f"{setting} must be integers from {least} to {most}{also}, got {short(numbers)}"
                )
            if setting != "stages" and sorted(set(numbers)) != [*numbers]:
                raise ValueError(f"{setting} must rise, each once; got {short(numbers)}")
        even = [kernel for kernel in (*self.stem_kernels, *self.kernels) if kernel % 2 == 0]
        if even:
            raise ValueError(f"kernels must be odd, got {even[0]}")
        for known, given, setting in (
            ((OFF, PLAIN, RESIDUAL), self.links, "links"),
            (self._places, " ".join(map(str, self.placements)).split(), "placements"),
        ):
            if unknown := [name for name in given if name not in known]:
                raise ValueError(
                    f"unknown {setting} {short(unknown[0])}; choose from {', '.join(known)}"
                )
        if not self.placements or not self.links:
            raise ValueError("placements and links must not be empty")

    @property
    def factors(self) -> tuple[int, ...]:
        """The expansions that are numbers."""
        return tuple(each for each in self.expansions if isinstance(each, int))

    @property
    def _places(self) -> tuple[str, ...]:
        return HALF, STEM, *(str(stage) for stage in range(1, len(self.stages) + 1))

    @cached_property
    def slots(self) -> tuple[tuple[int, bool], ...]:
        """Stage of each block that may stand, and whether it is the first of the stage."""
        return tuple((s, b == 0) for s, most in enumerate(self.stages) for b in range(most))

    @cached_property
    def options(self) -> dict[str, tuple[str, ...]]:
        """The names of the options of each group of choices."""
        numbers = {
            "stem_kernel": self.stem_kernels,
            "stem_width": self.stem_widths,
            "width": self.widths,
            "kernel": self.kernels,
            "expansion": self.expansions,
            "head": self.heads,
        }
        named = {name: tuple(map(str, sizes)) for name, sizes in numbers.items()}
        has_later = any(not first for _, first in self.slots)
        return {"placement": self.placements, **named} | ({"link": self.links} if has_later else {})

    def name_options(self, places: Mapping[str, Sequence[int]]) -> Choices:
        """Returns choices from the places of the chosen options, row after row of each group."""
        return {
            name: tuple(((self.options[name][place], 0),) for place in rows)
            for name, rows in places.items()
        }

    def leave_out_vain(self, choices: Choices) -> Choices:
        """Returns the choices without kernels and expansions of blocks that are left out."""
        links = iter(choices.get("link", ()))
        stands = [first or next(links)[0][0] != OFF for _, first in self.slots]
        left = {
            name: tuple(row if stays else () for row, stays in zip(rows, stands, strict=True))
            for name, rows in choices.items()
            if name in ("kernel", "expansion")
        }
        return {**choices, **left}

    def build(self, choices: Choices, found_by: Mapping[str, Any] | None = None) -> Chain:
        chosen = {name: [option for ((option, _),) in sets] for name, sets in choices.items()}
        halved = chosen["placement"][0].split()
        links, blocks = iter(chosen.get("link", ())), []
        rows = zip(self.slots, chosen["kernel"], chosen["expansion"], strict=True)
        for (stage, first), kernel, expansion in rows:
            link = PLAIN if first else next(links)
            if link == OFF:
                continue
            width = int(chosen["width"][stage])
            stride = 2 if first and str(stage + 1) in halved else 1
            residual = link == RESIDUAL
            blocks.append(make_block(int(kernel), width, stride, expansion, residual))
        return Chain(
            int(chosen["stem_kernel"][0]),
            int(chosen["stem_width"][0]),
            2 if STEM in halved else 1,
            tuple(blocks),
            HALF in halved,
            int(chosen["head"][0]),
            self.name,
            dict(choices),
            dict(found_by or {}),
            self.axes,
        )


def make_block(kernel: int, width: int, stride: int, expansion: int | str, residual: bool) -> Block:
    """Makes a block of what is chosen for it; `expansion` is one of the space or its name."""
    full = expansion == FULL
    return Block(kernel, width, stride, 0 if full else int(expansion), residual, full)
