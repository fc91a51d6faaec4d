"""Short trainings that can be interrupted and go on from their checkpoint."""

import signal
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from run_helpers import SMALL, fast_sgd, quiet_trainer

from darts_lite.data.images.augmentation import Augmentation
from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.eigenvalue_monitor import EigenvalueMonitor
from darts_lite.search.callbacks.operation_freezing import OperationFreezing
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.search.relaxations import Concrete
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.training.checkpointing import (
    AtomicCheckpointIO,
    StageCheckpoint,
)


class At(Callback):
    """Does something after a number of steps."""

    def __init__(self, step: int, what: Any) -> None:
        self.step, self.what, self.count = step, what, 0

    def on_train_batch_start(self, *_: Any) -> None:
        self.count += 1
        if self.count == self.step:
            self.what()


class StopsOnce(Callback):
    """Stops a run by a signal before a step of a stage; not again where the marker file is."""

    def __init__(self, marker: str, stage: str, step: int, name: str = "SIGTERM") -> None:
        self.marker, self.stage, self.step, self.name = Path(marker), stage, step, name

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        asked = type(pl_module).__name__ == self.stage and trainer.global_step == self.step
        if asked and not self.marker.exists():
            self.marker.touch()
            signal.raise_signal(getattr(signal, self.name))


def search() -> ArchitectureSearch:
    return ArchitectureSearch(
        SMALL,
        relaxation=Concrete(),
        weights_optimizer=fast_sgd,
        partial_channels=2,
        edge_weights=True,
        auxiliary_skip=1.0,
    )


def play_off() -> PlayOff:
    space = LayerSpace(stages=(2, 1), widths=(4, 6, 8), placements=("stem 1", "stem 2"))
    sizes: Any = {"by_hand": 2, "at_random": 2, "children": 2, "finalists": 2}
    budget = WithinBudget(parameters=600)
    return PlayOff(space, derivation=budget, class_weights="balanced", **sizes)


def retraining() -> Retraining:
    torch.manual_seed(1)
    found = ArchitectureSearch(SMALL).derive()
    weighted: Any = {"class_weights": "balanced"}
    return Retraining(found, drop_path=0.3, ema_decay=0.9, schedule="one_cycle", **weighted)


def trained(
    make: Any,
    root: str,
    path: Path,
    interrupt: Callback | None,
    settings: dict[str, Any],
    data: LightningDataModule | None = None,
) -> dict[str, torch.Tensor]:
    """State after a training, from the checkpoint if there is one."""
    seed_everything(3, verbose=False)
    model: LightningModule = make()
    changes = Augmentation(flip=True, shift=1, brightness=0.2, contrast=0.2, border="mirrored")
    both: Any = {"augmentation": changes, "search_augmentation": changes}
    if data is None:
        data = ImageData(root=root, train_images=900, search_batch_size=45, batch_size=45, **both)
    guards: list[Callback] = [OperationFreezing(0.9, 2, 3), EigenvalueMonitor(1e9, 1, 2)]
    guards = guards if isinstance(model, ArchitectureSearch) else []
    saving = StageCheckpoint(path, every_steps=2)
    own = [saving] if interrupt is None else [saving, interrupt]
    plugins = [AtomicCheckpointIO(), *settings.pop("plugins", [])]
    callbacks = [*guards, *own]
    run = quiet_trainer(
        max_epochs=2, callbacks=callbacks, plugins=plugins, enable_checkpointing=True, **settings
    )
    start = path if path.exists() else None
    run.fit(model, datamodule=data, ckpt_path=start, weights_only=True)
    return {name: value.clone() for name, value in model.state_dict().items()}
