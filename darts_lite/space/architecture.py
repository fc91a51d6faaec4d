"""The frozen result of a search: which operations the cells keep, in which skeleton they stand."""

import copy
import dataclasses
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

from darts_lite.space.genotype import (
    PUBLISHED,
    Cell,
    read_cell,
    read_concat,
    read_genotype,
    read_integer,
    read_sequence,
    state_name,
    write_genotype,
)
from darts_lite.space.nasbench201 import read_string, write_cell
from darts_lite.space.search_space import LARGEST, SkeletonSettings, nasbench201_space
from darts_lite.storage.atomic_files import write_text

FORMAT = "darts_lite/architecture"
VERSION = 1
KINDS = ("normal", "reduce")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The edges that each node of each kind of cell keeps, and the skeleton around the cells.

    Args:
        cells: ``"normal"``, ``"reduce"`` -> nodes -> edges ``(operation, source)``. A source is the
            index of an earlier state: 0 and 1 are the cell's inputs, node ``i`` is ``2 + i``; in
            a wiring of one input 0 is that, and node ``i`` is ``1 + i``.
            Operations are named as in `darts_lite.OPERATIONS`, or ``module.Name``, which
            is looked up only when a net is built.
        concat: Kind -> states whose concatenation is the cell's output; if not given, all nodes,
            or the last, as the wiring has it.
        skeleton: Each of its `kinds` needs a cell.
        space: Name of the search space.
        found_by: How it was found (algorithm, seed, steps, ...), as plain JSON values.

    Raises:
        ValueError: if anything does not fit together; the line says what and where.
    """

    cells: dict[str, Cell]
    concat: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    skeleton: SkeletonSettings = SkeletonSettings()
    space: str = "custom"
    found_by: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        given = _mapping(self.cells, "cells", KINDS, required=self.skeleton.kinds)
        inputs = self.skeleton.inputs
        cells = {k: read_cell(given[k], f"cells.{k}", inputs) for k in KINDS if k in given}
        self.skeleton.check_size({kind: sum(map(len, cell)) for kind, cell in cells.items()})
        usual = {kind: self.skeleton.outputs(len(cell)) for kind, cell in cells.items()}
        outputs = {**usual, **_mapping(self.concat, "concat", tuple(cells))}
        concat = {
            kind: read_concat(outputs[kind], len(cell), f"concat.{kind}", inputs)
            for kind, cell in cells.items()
        }
        if not isinstance(self.space, str):
            raise ValueError(f"space: must be a name, got {short(self.space)}")
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "concat", concat)
        object.__setattr__(self, "found_by", _plain(self.found_by))

    def __str__(self) -> str:
        frame = self.skeleton
        reductions = ", ".join(map(str, frame.reduction_cells)) or "none"
        lines = [
            f"{self.space}: {frame.cells} cells of {frame.channels} channels, "
            f"reductions: {reductions}, stem: {frame.stem}"
        ]
        for kind, cell in self.cells.items():
            named = functools.partial(state_name, inputs=frame.inputs)
            rows = [
                (named(state), " + ".join(f"{op}({named(source)})" for op, source in edges))
                for state, edges in enumerate(cell, frame.inputs)
            ]
            rows.append(("c_{k}", f"concat({', '.join(map(named, self.concat[kind]))})"))
            for row, (name, value) in enumerate(rows):
                lines.append(f"{f'{kind}:' if row == 0 else '':8}{name:>5} = {value}")
        return "\n".join(lines)

    @property
    def sees(self) -> bool:
        """Whether a path other than of ``none`` leads from input to output in every cell."""
        for kind, cell in self.cells.items():
            seeing = [True] * self.skeleton.inputs
            for edges in cell:
                seeing.append(any(name != "none" and seeing[source] for name, source in edges))
            if not any(seeing[state] for state in self.concat[kind]):
                return False
        return True

    def with_skeleton(
        self,
        channels: int | None = None,
        cells: int | None = None,
        reductions: Sequence[int] | None = None,
        stem: str | None = None,
    ) -> "Architecture":
        """A copy in another skeleton: search small, retrain large.

        Another number of cells without `reductions` puts these back to one and two thirds.

        Raises:
            ValueError: if a value is out of range.
        """
        changes = {"channels": channels, "cells": cells, "reductions": reductions, "stem": stem}
        given: dict[str, Any] = {
            name: value for name, value in changes.items() if value is not None
        }
        if given.get("cells", self.skeleton.cells) != self.skeleton.cells:
            given.setdefault("reductions", None)
        skeleton = _skeleton({**dataclasses.asdict(self.skeleton), **given})
        return dataclasses.replace(self, skeleton=skeleton)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as they stand in ``architecture.json`` and in checkpoints."""
        frame = self.skeleton
        return {
            "format": FORMAT,
            "version": VERSION,
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
        """The inverse of `to_dict`, for values from anywhere.

        Raises:
            ValueError: saying what is wrong and where, as ``cells.normal[2][0]: ...``.
        """
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            raise ValueError(f"expected an object with 'format': {FORMAT!r}, got {short(value)}")
        version = value.get("version")
        if type(version) is not int or version != VERSION:
            raise ValueError(f"version: must be {VERSION}, got {short(version)}")
        contents = [field.name for field in dataclasses.fields(cls)]
        fields = _mapping(value, "", ("format", "version", *contents), required=contents)
        skeleton = _skeleton(fields["skeleton"])
        return cls(**{**{name: fields[name] for name in contents}, "skeleton": skeleton})

    def save(self, path: str | Path) -> None:
        """Writes a JSON file whole, one node per line."""
        write_text(path, _pretty(self.to_dict()) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Architecture":
        """Reads what `save` wrote; nothing in the file is imported or evaluated.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not UTF-8, not JSON, or not an architecture.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8-sig")))
        except OSError as error:
            raise FileNotFoundError(
                f"cannot read architecture {str(path)!r} ({error.strerror}); give a JSON file, a "
                f"Genotype(...) text or one of {sorted(ARCHITECTURES)}"
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{str(path)!r} is not an architecture file: {error}") from error

    def genotype(self) -> str:
        """The cells as ``Genotype(normal=[('sep_conv_3x3', 1), ...], ...)``, as DARTS prints it.

        Cells of one input that keep all edges as NAS-Bench-201 does:
        ``|nor_conv_3x3~0|+|none~0|skip_connect~1|``.
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

        Args:
            text: See `darts_lite.space.genotype.read_genotype`.
            skeleton: If not given, DARTS' for CIFAR-10; without reductions where the text has no
                reducing cell.
            space: Name of the search space.

        Raises:
            ValueError: if the text is malformed.
        """
        cells, concat = read_genotype(text)
        if skeleton is None and "reduce" not in cells:
            skeleton = dataclasses.replace(PUBLISHED_SKELETON, reductions=())
        return cls(cells, concat, skeleton or PUBLISHED_SKELETON, space)

    @classmethod
    def from_cell(cls, text: str, skeleton: SkeletonSettings | None = None) -> "Architecture":
        """An architecture of NAS-Bench-201 from its string, in the benchmark's skeleton by default.

        Raises:
            ValueError: if the string is malformed.
        """
        space = nasbench201_space()
        return cls({"normal": read_string(text)}, {}, skeleton or space.skeleton, space.name)

    @classmethod
    def of(cls, value: "Architecture | Mapping[str, Any] | str | Path") -> "Architecture":
        """An architecture as it is, or from its `to_dict`, name, text or file.

        Raises:
            FileNotFoundError: if it is neither a known name nor a file.
            ValueError: if its content is wrong.
        """
        match value:
            case Architecture():
                return value
            case str() if value in ARCHITECTURES:
                return ARCHITECTURES[value]
            case str() if "Genotype(" in value:
                return cls.from_genotype(value)
            case str() if value.startswith("|"):
                return cls.from_cell(value)
            case str() | Path():
                return cls.load(value)
        return cls.from_dict(value)


def _mapping(
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


def _skeleton(value: Any) -> SkeletonSettings:
    names = [field.name for field in dataclasses.fields(SkeletonSettings)]
    required = [name for name in names if name != "wiring"]
    fields = dict(_mapping(value, "skeleton", names, required))
    for name in ("channels", "cells"):
        read_integer(fields[name], range(1, LARGEST + 1), "skeleton", name)
    if not isinstance(fields["stem"], str):
        raise ValueError(f"skeleton: stem must be a name, got {short(fields['stem'])}")
    if fields["reductions"] not in (None, [], ()):
        listed = read_sequence(fields["reductions"], "skeleton.reductions", "cell")
        fields["reductions"] = [
            read_integer(cell, range(fields["cells"]), "skeleton", "reductions") for cell in listed
        ]
    try:
        return SkeletonSettings(**fields)
    except (ValueError, TypeError) as error:
        raise ValueError(f"skeleton: {error}") from error


def _plain(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"found_by: expected keys and values, got {short(value)}")
    try:
        return dict(json.loads(json.dumps(value, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"found_by: must hold plain JSON values only ({error})") from error


def _pretty(value: Any, levels: int = 3, indent: str = "") -> str:
    """JSON text; what is too long for a line is broken into its items, down to `levels`."""
    line = json.dumps(value)
    if levels == 0 or len(indent + line) <= 90 or not isinstance(value, dict | list):
        return line
    inner = indent + "  "
    named = value.items() if isinstance(value, dict) else [(None, item) for item in value]
    items = [
        inner + ("" if name is None else f"{json.dumps(name)}: ") + _pretty(item, levels - 1, inner)
        for name, item in named
    ]
    return line[0] + "\n" + ",\n".join(items) + f"\n{indent}{line[-1]}"


PUBLISHED_SKELETON = SkeletonSettings(channels=36, cells=20, stem="conv3x3")
"""The network that DARTS trains on CIFAR-10 (arXiv 1806.09055, section 3.2)."""

ARCHITECTURES: Mapping[str, Architecture] = {
    name: Architecture(
        cells={"normal": normal, "reduce": reduce},
        skeleton=PUBLISHED_SKELETON,
        space="darts",
        found_by={"source": source},
    )
    for name, (source, normal, reduce) in PUBLISHED.items()
}
"""Published cells by the name that their authors gave them."""
