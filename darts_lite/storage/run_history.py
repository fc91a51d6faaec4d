"""The history of a run's stages, as its JSON files keep it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

FOLDER = "history"
"""Of the files in a run's folder, one per stage."""


@dataclass(frozen=True)
class Moment:
    """How things stood after an epoch, or at the start.

    Args:
        step: Optimizer steps that were done.
        metrics: What was logged last, by name; of training batches the mean over the epoch.
        shares: Of the candidates, where there are any: kind of cell -> ``(edges, candidates)``.
    """

    step: int
    metrics: Mapping[str, float]
    shares: Mapping[str, Tensor]


@dataclass(frozen=True)
class Told:
    """A stage from its start.

    Args:
        moments: In order.
        candidates: Of a search: the columns of its shares.
        inputs: How many states of its cells are outputs of other cells.
    """

    moments: Sequence[Moment] = ()
    candidates: Sequence[str] = ()
    inputs: int = 2

    @property
    def with_shares(self) -> list[Moment]:
        """The moments that have shares of candidates."""
        return [moment for moment in self.moments if moment.shares]


def read_history(path: Path) -> Told:
    """What a stage has told; nothing where there is no such file.

    Raises:
        ValueError: if the file was changed.
    """
    if not path.is_file():
        return Told()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        moments = [
            Moment(
                int(moment["step"]),
                {str(name): float(value) for name, value in moment["metrics"].items()},
                {
                    str(kind): torch.tensor(values, dtype=torch.float32)
                    for kind, values in moment["shares"].items()
                },
            )
            for moment in content["moments"]
        ]
        return Told(moments, list(content.get("candidates", ())), int(content.get("inputs", 2)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is no history of a run ({error}); take the file that the run wrote"
        ) from error
