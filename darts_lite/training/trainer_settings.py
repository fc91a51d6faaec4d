"""Refuses settings of Lightning's Trainer that a training would ignore or not survive."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer

MOST_PROCESSES = 10_000  # devices of a node, and nodes
READ = (
    "gradient_clip_val",
    "accumulate_grad_batches",
    "val_check_interval",
    "check_val_every_n_epoch",
)
"""Attributes of a trainer that have the names of the settings."""


def check_trainer(trainer: Trainer) -> None:
    """Checks the settings of a trainer that is about to train a module, as a library makes it."""
    settings = {name: getattr(trainer, name) for name in READ}
    joined = trainer._accelerator_connector._layer_sync is not None
    if trainer.state.fn == "fit":
        refuse_unsupported({**settings, "sync_batchnorm": joined})


def refuse_unsupported(settings: Mapping[str, Any]) -> None:
    """Refuses trainer settings that do not work with two optimizers."""
    if settings["gradient_clip_val"] is not None:
        raise ValueError(
            "trainer.gradient_clip_val is not used here; set model.gradient_clip and "
            "retraining.gradient_clip instead"
        )
    if settings["sync_batchnorm"]:
        raise ValueError(
            "trainer.sync_batchnorm is not used here: the norms of several processes share their "
            "statistics without it; leave it out"
        )
    if settings["accumulate_grad_batches"] != 1:
        raise ValueError(
            "trainer.accumulate_grad_batches must stay 1; set data.search_batch_size and "
            "data.batch_size instead"
        )
    for name in ("devices", "num_nodes"):
        if isinstance(count := settings.get(name), int) and count > MOST_PROCESSES:
            raise ValueError(f"trainer.{name} must be at most {MOST_PROCESSES}, got {count}")
    for name in ("val_check_interval", "check_val_every_n_epoch"):
        if settings.get(name) == 0:
            raise ValueError(f"trainer.{name} must be above 0 or null, got 0")
