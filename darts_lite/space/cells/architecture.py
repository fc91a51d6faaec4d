"""The frozen result of a search: the operations that its cells keep, and the skeleton."""

import copy
import dataclasses
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

from darts_lite.space.cells.genotype import (
    PUBLISHED,
    Cell,
    describes_cells,
    is_genotype,
    name_state,
    read_cell,
    read_concat,
    read_fields,
    read_genotype,
    write_genotype,
)
from darts_lite.space.cells.nasbench201 import STRING, read_string, write_cell
from darts_lite.space.cells.skeleton_settings import SkeletonSettings
from darts_lite.space.groups import Choices, Diagram
from darts_lite.space.protocol import HEADER, AnyArchitecture, check_header

KINDS = ("normal", "reduce")
MOST_NODES = 1_000
"""Largest number of nodes of a cell: more would take minutes to build."""


@dataclasses.dataclass(frozen=True)
class Architecture(AnyArchitecture):
    """The edges that each node of each kind of cell keeps, and the skeleton around the cells.

    Args:
        cells: ``"normal"``, ``"reduce"`` -> nodes -> edges ``(operation, source)``. A source is the
            index of an earlier state: 0 and 1 are the cell's inputs, node ``i`` is ``2 + i``. In a
            wiring with one input, 0 is that input and node ``i`` is ``1 + i``. Operations are names
            in `darts_lite.OPERATIONS`, or ``module.Name``, which is looked up only when a net is
            built.
        concat: Kind -> states whose concatenation is the cell's output; if not given, all nodes
            or the last one, depending on the wiring.
        skeleton: The fixed frame around the cells. Each of its `kinds` needs a cell.
        space: Name of the search space.
        found_by: How it was found (algorithm, seed, steps, ...), as plain JSON values.

    Raises:
        ValueError: if anything does not fit together; the message says what and where.
    """

    cells: dict[str, Cell]
    concat: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    skeleton: SkeletonSettings = SkeletonSettings()
    space: str = "custom"
    found_by: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        given = _check_keys(self.cells, "cells", KINDS, required=self.skeleton.kinds)
        inputs = self.skeleton.inputs
        cells = {k: read_cell(given[k], f"cells.{k}", inputs) for k in KINDS if k in given}
        if (nodes := max(map(len, cells.values()))) > MOST_NODES:
            raise ValueError(f"cells: a cell has at most {MOST_NODES} nodes, got {nodes}")
        self.skeleton.check_size({kind: sum(map(len, cell)) for kind, cell in cells.items()})
        usual = {kind: self.skeleton.outputs(len(cell)) for kind, cell in cells.items()}
        outputs = {**usual, **_check_keys(self.concat, "concat", tuple(cells))}
        concat = {
            kind: read_concat(outputs[kind], len(cell), f"concat.{kind}", inputs)
            for kind, cell in cells.items()
        }
        if not isinstance(self.space, str):
            raise ValueError(f"space: must be a name, got {short(self.space)}")
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "concat", concat)
        object.__setattr__(self, "found_by", _copy_plain(self.found_by))

    def __str__(self) -> str:
        frame = self.skeleton
        reductions = ", ".join(map(str, frame.reduction_cells)) or "none"
        lines = [
            f"{self.space}: {frame.cells} cells of {frame.channels} channels, "
            f"reductions: {reductions}, stem: {frame.stem}"
        ]
        for kind, cell in self.cells.items():
            named = functools.partial(name_state, inputs=frame.inputs)
            rows = [
                (named(state), " + ".join(f"{op}({named(source)})" for op, source in edges))
                for state, edges in enumerate(cell, frame.inputs)
            ]
            rows.append(("c_{k}", f"concat({', '.join(map(named, self.concat[kind]))})"))
            for row, (name, value) in enumerate(rows):
                lines.append(f"{f'{kind}:' if row == 0 else '':8}{name:>5} = {value}")
        return "\n".join(lines)

    @property
    def choices(self) -> Choices:
        return self.cells

    @property
    def diagrams(self) -> dict[str, Diagram]:
        """The cells, by their kind."""
        found = {}
        for kind, cell in self.cells.items():
            states = range(self.skeleton.inputs + len(cell))
            names = tuple(name_state(state, self.skeleton.inputs) for state in states)
            found[kind] = Diagram(f"{kind} cell", names, cell, self.concat[kind], "c_{k}")
        return found

    @property
    def frame(self) -> dict[str, Any]:
        frame = dataclasses.asdict(self.skeleton)
        return {**frame, "reductions": self.skeleton.reduction_cells}

    @property
    def size(self) -> str:
        return f"{self.skeleton.cells} cells of {self.skeleton.channels} channels"

    @property
    def sees(self) -> bool:
        """True if a path without ``none`` leads from an input to the output in every cell."""
        for kind, cell in self.cells.items():
            seeing = [True] * self.skeleton.inputs  # of each state: does the image reach it?
            for edges in cell:
                seeing.append(any(name != "none" and seeing[source] for name, source in edges))
            if not any(seeing[state] for state in self.concat[kind]):
                return False
        return True

    def in_skeleton(self, changes: Mapping[str, Any]) -> "Architecture":
        return dataclasses.replace(self, skeleton=self.skeleton.changed(changes))

    def with_skeleton(
        self,
        channels: int | None = None,
        cells: int | None = None,
        reductions: Sequence[int] | None = None,
        stem: str | None = None,
    ) -> "Architecture":
        """Returns a copy in another skeleton: search small, retrain large.

        A new number of cells without `reductions` moves these to one and two thirds of the depth.
        """
        given = {"channels": channels, "cells": cells, "reductions": reductions, "stem": stem}
        return self.in_skeleton(given)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, as ``architecture.json`` and checkpoints hold them."""
        frame = self.skeleton
        return {
            **HEADER,
            "space": self.space,
            "cells": {
                kind: [[list(edge) for edge in edges] for edges in cell]
                for kind, cell in self.cells.items()
            },
            "concat": {kind: list(states) for kind, states in self.concat.items()},
            "skeleton": {
                "stem": frame.stem,
                "channels": frame.channels,
                "cells": frame.cells,
                "reductions": None if frame.reductions is None else list(frame.reductions),
                **({} if frame.wiring == "darts" else {"wiring": frame.wiring}),
            },
            "found_by": copy.deepcopy(self.found_by),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Architecture":
        """Builds an architecture from what `to_dict` returns, and checks every value.

        Cells of other programs, without a format, get the skeleton of `from_genotype`.
        """
        if isinstance(value, Mapping) and "format" not in value and describes_cells(value):
            return cls._from_cells(*read_fields(value))
        check_header(value)
        contents = [field.name for field in dataclasses.fields(cls)]
        fields = _check_keys(value, "", (*HEADER, *contents), required=contents)
        values = {name: fields[name] for name in contents}
        return cls(**{**values, "skeleton": _read_skeleton(fields["skeleton"])})

    def genotype(self) -> str:
        """Returns the cells as text, as other programs print them.

        Cells with one input that keep all edges are written as in NAS-Bench-201:
        ``|nor_conv_3x3~0|+|none~0|skip_connect~1|``. All others are written as in DARTS:
        ``Genotype(normal=[('sep_conv_3x3', 1), ...], ...)``.
        """
        if self.skeleton.inputs == 1:
            cell = [sorted(edges, key=lambda edge: edge[1]) for edges in self.cells["normal"]]
            sources = [[source for _, source in edges] for edges in cell]
            if sources == [[*range(node + 1)] for node in range(len(cell))]:
                return write_cell(cell)
        return write_genotype(self.cells, self.concat)

    @classmethod
    def from_genotype(
        cls, text: str, skeleton: SkeletonSettings | None = None, space: str = "custom"
    ) -> "Architecture":
        """Reads ``Genotype(...)``, as `genotype` writes it and other DARTS code prints it.

        If no skeleton is given, it is DARTS' for CIFAR-10, without reductions if the text has no
        reducing cell. See `darts_lite.space.cells.genotype.read_genotype` for the form of the text.
        """
        return cls._from_cells(*read_genotype(text), skeleton, space)

    @classmethod
    def _from_cells(
        cls,
        cells: dict[str, Any],
        concat: dict[str, Any],
        skeleton: SkeletonSettings | None = None,
        space: str = "custom",
    ) -> "Architecture":
        if skeleton is None and "reduce" not in cells:
            skeleton = dataclasses.replace(PUBLISHED_SKELETON, reductions=())
        return cls(cells, concat, skeleton or PUBLISHED_SKELETON, space)

    @classmethod
    def from_cell(cls, text: str, skeleton: SkeletonSettings | None = None) -> "Architecture":
        """Reads a string of NAS-Bench-201; the default skeleton is the benchmark's."""
        cells = {"normal": read_string(text)}
        return cls(cells, {}, skeleton or NASBENCH201_SKELETON, "nasbench201")

    @classmethod
    def from_text(cls, text: str) -> "Architecture | None":
        """Returns a published architecture by name, or reads a text of cells; None for others."""
        if is_genotype(text):
            return cls.from_genotype(text)
        if text in ARCHITECTURES:
            return ARCHITECTURES[text]
        strings = [text] if text.startswith("|") else STRING.findall(text)
        return cls.from_cell(strings[0]) if len(strings) == 1 else None

    @classmethod
    def texts(cls) -> str:
        return f"a Genotype(...) text, or one of {sorted(ARCHITECTURES)}"

    @classmethod
    def of(cls, value: "Architecture | Mapping[str, Any] | str | Path") -> "Architecture":
        """Returns an architecture unchanged, or reads it from `to_dict`, a name, a text or a file.

        Raises:
            FileNotFoundError: if a path or text is neither a known name nor a file.
        """
        if isinstance(value, Architecture):
            return value
        if isinstance(value, str) and (found := cls.from_text(value)) is not None:
            return found
        if isinstance(value, str | Path):
            return cls.load(value)
        return cls.from_dict(value)


def _check_keys(
    value: Any, where: str, allowed: Collection[str], required: Collection[str] = ()
) -> Mapping[str, Any]:
    place = f"{where}: " if where else ""
    if not isinstance(value, Mapping):
        raise ValueError(f"{place}expected keys {list(allowed)}, got {short(value)}")
    unknown = [key for key in value if key not in allowed]
    if unknown:
        raise ValueError(f"{place}unknown keys {short(unknown)}; allowed: {list(allowed)}")
    missing = [key for key in required if key not in value]
    if missing:
        raise ValueError(f"{place}missing {missing}, got only {list(value)}")
    return value


def _read_skeleton(value: Any) -> SkeletonSettings:
    names = [field.name for field in dataclasses.fields(SkeletonSettings)]
    required = [name for name in names if name != "wiring"]
    fields = _check_keys(value, "skeleton", names, required)
    try:
        return SkeletonSettings(**fields)
    except ValueError as error:
        raise ValueError(f"skeleton: {error}") from error


def _copy_plain(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"found_by: expected keys and values, got {short(value)}")
    try:
        return dict(json.loads(json.dumps(value, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"found_by: must hold plain JSON values only ({error})") from error


NASBENCH201_SKELETON = SkeletonSettings(16, 15, None, "conv3x3_narrow", "residual")
"""The skeleton of the networks of NAS-Bench-201 (arXiv 2001.00326, section 2.1)."""
PUBLISHED_SKELETON = SkeletonSettings(channels=36, cells=20, stem="conv3x3")
"""The skeleton of the network that DARTS trains on CIFAR-10 (arXiv 1806.09055, section 3.2)."""

ARCHITECTURES: Mapping[str, Architecture] = {
    name: Architecture(read_genotype(text)[0], {}, PUBLISHED_SKELETON, "darts", {"source": source})
    for name, (source, text) in PUBLISHED.items()
}
"""Published cells, by the names that their authors gave them."""
