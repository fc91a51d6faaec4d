"""Reads the history of a run's stages from its JSON files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class EpochRecord:
    """The state of a stage after an epoch, or at the start.

    Args:
        step: Number of optimizer steps so far.
        metrics: Name -> value that was logged last; for training batches, the mean over the epoch.
        shares: Kind of cell -> shares ``(edges, candidates)``; empty for a stage without
            candidates.
    """

    step: int
    metrics: Mapping[str, float]
    shares: Mapping[str, Tensor]


@dataclass(frozen=True)
class StageHistory:
    """The records of a stage from its start, in order.

    Args:
        candidates: The columns of a search's shares.
        inputs: Number of states of a cell that are outputs of other cells.
    """

    moments: Sequence[EpochRecord] = ()
    candidates: Sequence[str] = ()
    inputs: int = 2

    @property
    def with_shares(self) -> list[EpochRecord]:
        """The records that have shares of candidates."""
        return [moment for moment in self.moments if moment.shares]


def read_history(path: Path) -> StageHistory:
    """Returns the history of a stage; an empty one if there is no such file."""
    if not path.is_file():
        return StageHistory()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        moments = [
            EpochRecord(
                int(moment["step"]),
                {str(name): float(value) for name, value in moment["metrics"].items()},
                {
                    str(kind): torch.tensor(values, dtype=torch.float32)
                    for kind, values in moment["shares"].items()
                },
            )
            for moment in content["moments"]
        ]
        candidates = list(content.get("candidates", ()))
        return StageHistory(moments, candidates, int(content.get("inputs", 2)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not the history of a run ({error}); use the file that the run wrote"
        ) from error
