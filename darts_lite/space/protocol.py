"""The protocol of search spaces: what a kind of space and its architectures give.

Searches, rules, drawings and runs know only this. Cells (`darts_lite.space.cells`) are one kind;
`darts_lite.networks.kinds` names all of them, with the networks that they make.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple, Self, TypeVar

import torch
from torch import Tensor

from darts_lite.space.cost_tables import Bound, Costs, CostTable, Images
from darts_lite.space.groups import Choices, Diagram, Group, Kept, Point
from darts_lite.space.pareto import choose_within
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.components import describe_component
from darts_lite.storage.paths import read_content

Built = TypeVar("Built")
HEADER: Mapping[str, Any] = {"format": "darts_lite/architecture", "version": 1}
"""Entries of every architecture file."""


class HandMade(NamedTuple):
    """Choices of an architecture made by hand.

    Attributes:
        family: Name of the family it belongs to.
        idea: What tells it from others of its family, beside its size.
    """

    family: str
    idea: str
    choices: Choices


class AnyArchitecture(ABC):
    """The frozen result of a search in a space of any kind.

    Attributes:
        space: Name of the search space.
        found_by: How it was found (algorithm, seed, steps, ...), as plain JSON values.
        axes: Number of axes of its maps: 2 for images, 1 for signals.
    """

    space: str
    found_by: dict[str, Any]
    axes: int = 2

    @property
    @abstractmethod
    def choices(self) -> Choices:
        """The choice of each group of the space."""

    @property
    @abstractmethod
    def diagrams(self) -> dict[str, Diagram]:
        """Its parts as graphs, by name."""

    @property
    @abstractmethod
    def frame(self) -> Mapping[str, Any]:
        """The settings of the net that are not chosen by a search, by name."""

    @property
    @abstractmethod
    def size(self) -> str:
        """The size of the net in words, for instance ``2 cells of 16 channels``."""

    @property
    @abstractmethod
    def sees(self) -> bool:
        """True if the image reaches the output of the net."""

    def count_bytes(self, images: Images) -> Mapping[str, int]:
        """Returns bytes in int8 by the name of their cost, where the space counts them."""
        return {}

    @abstractmethod
    def genotype(self) -> str:
        """Returns what was chosen as one line of text."""

    @abstractmethod
    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        """Returns a copy with other settings in its `frame`, where they are not None.

        Raises ValueError if it cannot have these: the keys are channels, cells, reductions, stem.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, as ``architecture.json`` and checkpoints hold them."""

    @classmethod
    @abstractmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Builds an architecture from what `to_dict` returns, and checks every value."""

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Returns the architecture that a name or a text stands for, or None."""
        return None

    @classmethod
    def texts(cls) -> str:
        """Returns in words what `from_text` reads; empty if nothing."""
        return ""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote; see `read_file`."""
        return read_file(path, cls.from_dict, cls.texts())

    def save(self, path: str | Path) -> None:
        """Writes a JSON file, one node per line; a failure leaves an older file intact."""
        write_text(path, _format_json(self.to_dict()) + "\n")


class Space(ABC):
    """A search space of any kind: groups of choices, and the architectures that they make.

    Attributes:
        name: Name of the space, recorded in the architecture file.
        axes: Number of axes of the maps of its nets: 2 for images, 1 for signals.
    """

    name: str
    axes: int = 2

    @property
    @abstractmethod
    def groups(self) -> dict[str, Group]:
        """The groups of choices, by name. Alphas, mixing weights and shares have these names."""

    @property
    def code(self) -> object:
        """What its nets are made by beside its values: a class that a notebook may write anew."""
        return None

    @abstractmethod
    def build(self, choices: Choices, found_by: Mapping[str, Any] | None = None) -> AnyArchitecture:
        """Builds the architecture of these choices."""

    @abstractmethod
    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        """Returns the space whose nets have another frame, but the same choices."""

    def with_data(
        self,
        in_channels: int | None = None,
        num_classes: int | None = None,
        image_size: int | None = None,
    ) -> "Space":
        """Returns the space for nets of such data, where its choices depend on them."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as checkpoints hold them; a dataclass gives class and settings."""
        described = describe_component(self)
        if self.axes == 2:  # as it was before there were signals
            described["init_args"].pop("axes", None)
        return described

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of options of each choice of a `Point`.

        For each set of each group there is one choice of the rows that it keeps, and one choice of
        the option for each of these.
        """
        groups = self.groups.values()
        return tuple(len(c) for group in groups for options in group.decisions for c in options)

    def architecture(
        self, point: Point, found_by: Mapping[str, Any] | None = None
    ) -> AnyArchitecture:
        """Builds the architecture that a point stands for."""
        remaining = iter(point)
        choices: dict[str, Kept] = {}
        for name, group in self.groups.items():
            sets = []
            for options in group.decisions:
                rows, *names = (choice[next(remaining)] for choice in options)
                sets.append(tuple(zip(names, rows, strict=True)))
            choices[name] = tuple(sets)
        return self.build(choices, found_by)

    def locate(self, choices: Choices) -> Point:
        """Returns the point that stands for these choices."""
        point: list[int] = []
        for name, group in self.groups.items():
            for options, kept in zip(group.decisions, choices[name], strict=True):
                names, rows = zip(*kept, strict=True) if kept else ((), ())
                chosen = (rows, *names)
                point += [every.index(one) for every, one in zip(options, chosen, strict=True)]
        return tuple(point)

    def first_architecture(self) -> AnyArchitecture:
        """Returns the architecture of the first options."""
        return self.architecture((0,) * len(self.sizes))

    def path(
        self, architecture: AnyArchitecture, device: torch.device | None = None
    ) -> dict[str, Tensor]:
        """Returns mixing weights that make a supernet compute one architecture of the space.

        Group -> ``(rows, options)``: 1 for the options that are chosen, else 0.
        """
        result = {}
        for name, group in self.groups.items():
            mixing = torch.zeros(group.shape)
            for rows, kept in zip(group.split(mixing), architecture.choices[name], strict=True):
                for option, row in kept:
                    rows[row, group.options.index(option)] = 1
            result[name] = mixing.to(device)
        return result

    def leave_out_vain(self, choices: Choices) -> Choices:
        """Returns the choices without those that change nothing, whose sets keep no row then."""
        return choices

    def votes(self, architecture: AnyArchitecture) -> dict[str, Tensor]:
        """Returns an architecture's votes in a consensus: group -> ``(rows, options)``.

        They are those of `path`; choices that change nothing are for all options alike.
        """
        votes = self.path(architecture)
        kept = self.leave_out_vain(architecture.choices)
        for name, group in self.groups.items():
            for rows, vote in zip(kept[name], group.split(votes[name]), strict=True):
                if not rows:
                    vote.fill_(1 / len(group.options))
        return votes

    def choose_within(
        self, shares: Mapping[str, Tensor], bounds: Sequence[Bound]
    ) -> tuple[Choices | None, list[float]]:
        """Returns the best choices within bounds; see `darts_lite.space.pareto.choose_within`."""
        return choose_within(self.groups, shares, bounds)

    def scale_families(self, admits: Callable[[Choices], bool]) -> Iterator[HandMade]:
        """Yields architectures made by hand, each as large as is admitted; there may be none.

        What is smaller than an admitted architecture must be admitted, as in `fit_sizes`.
        """
        yield from ()

    def fit_sizes(self, choices: Choices, admits: Callable[[Choices], bool]) -> Choices:
        """Returns choices with other sizes, as large as is admitted, where a space has sizes."""
        return choices

    def read_costs(self, content: Mapping[str, Any]) -> Costs:
        """Builds costs from what `Costs.to_dict` returned; raises ValueError if they do not fit."""
        return CostTable.from_dict(self.groups, content)


def check_header(value: Any) -> None:
    """Raises ValueError if a value is not the content of an architecture file of this version."""
    if not isinstance(value, Mapping) or value.get("format") != HEADER["format"]:
        raise ValueError(
            f"expected an object with 'format': {HEADER['format']!r}, got {short(value)}"
        )
    version = value.get("version")
    if type(version) is not int or version != HEADER["version"]:
        raise ValueError(f"version: must be {HEADER['version']}, got {short(version)}")


def read_file(path: str | Path, build: Callable[[Any], Built], texts: str) -> Built:
    """Reads an architecture's file; nothing in it is imported or evaluated.

    Args:
        build: Makes the architecture of the file's content; raises ValueError if it is not one.
        texts: What may stand in the place of a path, in words.

    Raises:
        FileNotFoundError: if the file cannot be read.
        ValueError: if it is not UTF-8, not JSON, or not an architecture.
    """
    try:
        return build(json.loads(read_content(Path(path)).decode("utf-8-sig")))
    except OSError as error:
        raise FileNotFoundError(
            f"cannot read architecture {str(path)!r} ({error.strerror}); give a JSON file"
            f"{texts and ', '}{texts}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not an architecture file: {error}") from error


def _format_json(value: Any, levels: int = 3, indent: str = "") -> str:
    """Returns JSON text; breaks a value that is too long for a line into items, `levels` deep."""
    line = json.dumps(value)
    if levels == 0 or len(indent + line) <= 90 or not isinstance(value, dict | list):
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        labelled = [(f"{json.dumps(name)}: ", item) for name, item in value.items()]
    else:
        labelled = [("", item) for item in value]
    items = [inner + label + _format_json(item, levels - 1, inner) for label, item in labelled]
    return line[0] + "\n" + ",\n".join(items) + f"\n{indent}{line[-1]}"
