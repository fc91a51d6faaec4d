"""A trainer that only trains."""

from typing import Any

from lightning.pytorch import Trainer


def quiet_trainer(**settings: Any) -> Trainer:
    """A trainer that prints and writes nothing.

    Args:
        settings: Those of `Trainer` in which it differs otherwise.
    """
    return Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
