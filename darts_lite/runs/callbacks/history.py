"""Records the metrics of each epoch in a JSON file, from which they can be drawn."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from darts_lite.runs.callbacks.epoch_means import collect_metrics
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.storage.atomic_files import write_text


@dataclass
class History(Callback):
    """Writes the metrics of every epoch, and the shares of the options.

    A resumed training has the earlier epochs from its checkpoint, so the file always covers one
    whole course.
    """

    path: Path
    moments: list[dict[str, Any]] = field(default_factory=list)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records the start; a resumed training has recorded it before."""
        if not self.moments:
            self._record(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"moments": list(self.moments)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.moments = list(state_dict["moments"])

    def _record(self, trainer: Trainer, module: LightningModule) -> None:
        about: dict[str, Any] = {}
        shares: dict[str, Any] = {}
        if isinstance(module, ArchitectureSearch):
            about = {"groups": {name: asdict(g) for name, g in module.space.groups.items()}}
            shares = {name: values.float().tolist() for name, values in module.shares().items()}
        metrics = collect_metrics(trainer)
        self.moments.append({"step": trainer.global_step, "metrics": metrics, "shares": shares})
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps({**about, "moments": self.moments}) + "\n")
