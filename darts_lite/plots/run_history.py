"""Reads the history of a run's stages from its JSON files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor

from darts_lite.space.cells.genotype import label_edges
from darts_lite.space.groups import Group
from darts_lite.storage.paths import is_there, read_content, reading

WRONG = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)
"""Errors of values that are not those of a history."""


@dataclass(frozen=True)
class EpochRecord:
    """The state of a stage after an epoch, or at the start.

    Args:
        step: Number of optimizer steps so far.
        metrics: Name -> value that was logged last; for training batches, the mean over the epoch.
        shares: Group -> ``(rows, options)``; empty for a stage without choices.
    """

    step: int
    metrics: Mapping[str, float]
    shares: Mapping[str, Tensor]


@dataclass(frozen=True)
class StageHistory:
    """The records of a stage from its start, in order.

    Args:
        groups: The groups of the search space; empty for a stage without choices.
    """

    moments: Sequence[EpochRecord] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)

    @property
    def with_shares(self) -> list[EpochRecord]:
        """The records that have shares."""
        return [moment for moment in self.moments if moment.shares]


def read_history(path: Path) -> StageHistory:
    """Returns the history of a stage; an empty one if there is no such file."""
    if not is_there(path):
        return StageHistory()
    try:
        with reading(path):
            content = json.loads(read_content(path))
        moments = [
            EpochRecord(
                _read_step(moment["step"]),
                {str(name): float(value) for name, value in moment["metrics"].items()},
                {
                    str(kind): torch.tensor(values, dtype=torch.float32)
                    for kind, values in moment["shares"].items()
                },
            )
            for moment in content["moments"]
        ]
        groups = dict(_read_groups(content))
        shapes = {name: group.shape for name, group in groups.items()}
        if any({n: s.shape for n, s in m.shares.items()} != shapes for m in moments if m.shares):
            raise ValueError("its shares do not fit its groups")
        return StageHistory(moments, groups)
    except WRONG as error:
        raise ValueError(
            f"{path} is not the history of a run ({error}); use the file that the run wrote"
        ) from error


def _read_step(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"a step must be a whole number, got {short(value)}")
    return value


def _read_groups(content: Mapping[str, Any]) -> Iterator[tuple[str, Group]]:
    for name, about in content.get("groups", {}).items():
        rows, options, sets = (tuple(about[part]) for part in ("rows", "options", "sets"))
        if not all(isinstance(label, str) for label in (*rows, *options)) or sum(sets) != len(rows):
            raise ValueError(f"the rows, options or sets of the group {short(name)} do not fit")
        yield name, Group(str(about["title"]), rows, options, sets)
    if "candidates" in content:  # files of earlier versions, which know only cells
        options, inputs = tuple(content["candidates"]), int(content.get("inputs", 2))
        for kind, rows in content["moments"][0]["shares"].items():
            sizes = range(inputs, inputs + len(rows))
            sets = tuple(sizes[: [*accumulate(sizes)].index(len(rows)) + 1])
            yield kind, Group(f"{kind} cell", label_edges(sets), options, sets)
