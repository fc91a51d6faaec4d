"""The choices that a user puts into a network: one of several modules, of inputs, of depths.

Outside of a search they are plain modules that run their first option. A search tells each of them
which options to run, by `AnyChoice.taken`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn

from darts_lite.space.own.weighted_sums import add_weighted

MOST_OPTIONS = 1000
"""Largest number of options of one choice."""
OPTION = "option:"
"""Beginning of the keys of options' modules, which torch would else take for attributes."""
FIRST: tuple[tuple[int, None], ...] = ((0, None),)
"""The first option without a weight, which runs outside of a search."""


class AnyChoice(nn.Module):
    """The base class of choices.

    Args:
        options: Names of the options.
        name: Ties all choices of this name to each other; None makes a choice of its own, which is
            named after its place in the network.

    Attributes:
        taken: The options that run, each with its mixing weight, a scalar; None is 1. It is empty
            for an input that is not kept.

    Raises:
        ValueError: if there is no option, or there are too many.
    """

    def __init__(self, options: Sequence[str], name: str | None) -> None:
        super().__init__()
        if not 1 <= len(options) <= MOST_OPTIONS:
            raise ValueError(
                f"{type(self).__name__} must have 1 to {MOST_OPTIONS} options, got {len(options)}"
            )
        if name is not None and not (isinstance(name, str) and name):
            raise ValueError(f"the name of a choice must be a text, got {name!r}")
        self.options, self.name = tuple(options), name
        self.taken: Sequence[tuple[int, Tensor | None]] = FIRST

    def inside(self) -> Iterator[tuple[str, nn.Module, frozenset[str] | None]]:
        """Yields the parts: name, module, and the options with which it runs; None if always."""
        yield from ()

    def pick(self, option: str) -> nn.Module:
        """Returns the chosen part alone, as it would be written by hand."""
        raise NotImplementedError


def _make_key(option: str) -> str:
    """Returns the key of an option's module, in which torch allows no dots."""
    return OPTION + option.replace(".", ":")


class Choice(AnyChoice):
    """One of several modules, which all read the same.

    Args:
        options: Name -> module.
        name: See `AnyChoice`.

    Raises:
        ValueError: if there is no option, or a name is no text or has a dot.
    """

    def __init__(self, options: Mapping[str, nn.Module], name: str | None = None) -> None:
        for option, module in options.items():
            if not isinstance(option, str) or not option or not isinstance(module, nn.Module):
                raise ValueError(
                    f"the options of a Choice are modules by name, got {option!r}: "
                    f"{type(module).__name__}"
                )
        super().__init__([*options], name)
        self.modules_by_option = nn.ModuleDict(
            {_make_key(option): module for option, module in options.items()}
        )

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        """Computes the options that are taken, and the sum of what they return."""
        modules = [*self.modules_by_option.values()]
        values = [modules[option](*inputs, **settings) for option, _ in self.taken]
        return add_weighted(values, [weight for _, weight in self.taken])

    def inside(self) -> Iterator[tuple[str, nn.Module, frozenset[str] | None]]:
        for option, (key, module) in zip(self.options, self.modules_by_option.items(), strict=True):
            yield f"modules_by_option.{key}", module, frozenset({option})

    def pick(self, option: str) -> nn.Module:
        module: nn.Module = self.modules_by_option[_make_key(option)]
        return module


class Repeat(AnyChoice):
    """How often a block stands, one after another.

    Args:
        make: Makes the block at a place, from 0 on.
        at_least: Smallest number of blocks, at least 0.
        at_most: Largest number of blocks.
        name: See `AnyChoice`.

    Raises:
        ValueError: if the numbers are not in order.
    """

    def __init__(
        self,
        make: Callable[[int], nn.Module],
        at_least: int,
        at_most: int,
        name: str | None = None,
    ) -> None:
        if not 0 <= at_least <= at_most or at_most < 1:
            raise ValueError(
                "Repeat needs 0 <= at_least <= at_most and at_most of at least 1, got "
                f"{at_least} and {at_most}"
            )
        super().__init__([str(count) for count in range(at_least, at_most + 1)], name)
        self.at_least = at_least
        self.blocks_by_place = nn.ModuleList(make(place) for place in range(at_most))

    def forward(self, x: Any) -> Any:
        """Computes as many blocks as are taken; the mean of what several depths return."""
        weights = {self.at_least + place: weight for place, weight in self.taken}
        depths = [x]
        for block in self.blocks_by_place[: max(weights)]:
            depths.append(block(depths[-1]))
        return add_weighted([depths[depth] for depth in weights], [*weights.values()])

    def inside(self) -> Iterator[tuple[str, nn.Module, frozenset[str] | None]]:
        for place, block in enumerate(self.blocks_by_place):
            deeper = frozenset(option for option in self.options if int(option) > place)
            yield f"blocks_by_place.{place}", block, deeper if place >= self.at_least else None

    def pick(self, option: str) -> nn.Module:
        return nn.Sequential(*self.blocks_by_place[: int(option)])


class InputChoice(AnyChoice):
    """Some of several tensors, summed or concatenated along the channels.

    With `paths` each tensor passes its own `Choice` first, and a search ranks these as DARTS ranks
    the edges of a node (arXiv 1806.09055, section 2.4): by their best option other than ``none``.

    Args:
        count: Number of tensors.
        keep: Number of those that are kept.
        join: ``sum`` or ``concat``.
        paths: Choices with the same options, one for each tensor; the tensors are then summed.
        name: See `AnyChoice`; with paths it is theirs that counts.

    Raises:
        ValueError: if these do not fit each other.
    """

    def __init__(
        self,
        count: int,
        keep: int = 1,
        join: Literal["sum", "concat"] = "sum",
        paths: Sequence[Choice] | None = None,
        name: str | None = None,
    ) -> None:
        if not 1 <= keep <= count:
            raise ValueError(f"InputChoice keeps 1 to {count} tensors, got {keep}")
        if join not in ("sum", "concat"):
            raise ValueError(f"join must be 'sum' or 'concat', got {join!r}")
        self.sets = [*combinations(range(count), keep)] if paths is None else [(*range(keep),)]
        super().__init__(["+".join(map(str, kept)) for kept in self.sets], name)
        self.count, self.keep, self.join = count, keep, join
        self.paths_by_input = None if paths is None else nn.ModuleList(paths)
        if paths is None:
            return
        if len(paths) != count or not all(isinstance(path, Choice) for path in paths):
            raise ValueError(f"paths must be {count} Choices, one for each tensor")
        if join != "sum" or len({path.options for path in paths}) > 1:
            raise ValueError("paths must have the same options, and are summed")

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Joins the tensors that are kept, each ``(B, C, ...)``."""
        if len(inputs) != self.count:
            raise ValueError(f"InputChoice needs {self.count} tensors, got {len(inputs)}")
        if self.paths_by_input is not None:
            pairs = [*zip(self.paths_by_input, inputs, strict=True)]
            if all(path.taken is FIRST for path in self.paths_by_input):  # outside of a search
                pairs = pairs[: self.keep]
            return sum_tensors([path(x) for path, x in pairs if path.taken])
        joined = [
            join_tensors([inputs[place] for place in self.sets[option]], self.join)
            for option, _ in self.taken
        ]
        return add_weighted(joined, [weight for _, weight in self.taken])

    def inside(self) -> Iterator[tuple[str, nn.Module, frozenset[str] | None]]:
        for place, path in enumerate(self.paths_by_input or ()):
            yield f"paths_by_input.{place}", path, None

    def pick(self, option: str) -> nn.Module:
        return Joined(tuple(map(int, option.split("+"))), self.join)


class Joined(nn.Module):
    """Joins chosen tensors, each of which may pass a module of its own first.

    Args:
        places: Places of the tensors that are kept.
        join: ``sum`` or ``concat``.
        paths: A module for each of them; None if they are joined as they are.
    """

    def __init__(
        self, places: Sequence[int], join: str, paths: Sequence[nn.Module] | None = None
    ) -> None:
        super().__init__()
        self.places, self.join = tuple(places), join
        self.paths = None if paths is None else nn.ModuleList(paths)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Joins tensors, each ``(B, C, ...)``."""
        kept = [inputs[place] for place in self.places]
        if self.paths is not None:
            kept = [path(x) for path, x in zip(self.paths, kept, strict=True)]
        return join_tensors(kept, self.join)


def join_tensors(tensors: Sequence[Tensor], join: str) -> Tensor:
    """Returns the sum of tensors, or concatenates them along the channels."""
    return sum_tensors(tensors) if join == "sum" else torch.cat([*tensors], dim=1)


def sum_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """Returns the sum of tensors of one shape, at least one."""
    first, *others = tensors
    return sum(others, start=first)
