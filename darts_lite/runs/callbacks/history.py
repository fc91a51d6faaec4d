"""What each epoch of a stage came to, in a JSON file from which it can be drawn."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from darts_lite.runs.callbacks.epoch_means import epoch_metrics
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.storage.atomic_files import write_text


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
