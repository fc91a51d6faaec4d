"""What each epoch of a stage came to, in a JSON file from which it can be drawn."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from darts_lite.epoch_means import epoch_metrics
from darts_lite.files import write_text
from darts_lite.search import ArchitectureSearch

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


@dataclass
class History(Callback):
    """Writes the figures of every epoch, and the shares of the candidates.

    A training that goes on has them from its checkpoint, so that the file is always of one course.

    Args:
        path: Of the file.
    """

    path: Path
    moments: list[dict[str, Any]] = field(default_factory=list)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tells where it starts; one that goes on has told it before."""
        if not self.moments:
            self._tell(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tells how far it has come."""
        self._tell(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """All that was told, as plain values."""
        return {"moments": list(self.moments)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        self.moments = list(state_dict["moments"])

    def _tell(self, trainer: Trainer, module: LightningModule) -> None:
        about: dict[str, Any] = {}
        shares: Mapping[str, Tensor] = {}
        if isinstance(module, ArchitectureSearch):
            about = {"candidates": module.space.candidates, "inputs": module.space.skeleton.inputs}
            shares = module.shares()
        self.moments.append(
            {
                "step": trainer.global_step,
                "metrics": epoch_metrics(trainer),
                "shares": {kind: values.float().tolist() for kind, values in shares.items()},
            }
        )
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps({**about, "moments": self.moments}) + "\n")


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
