"""Trainings that print and write nothing."""

import logging
import warnings
from typing import Any

import torch
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


def silence(threads: int | None = None) -> None:
    """Leaves warnings and Lightning's lines out, and sets the number of threads."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    if threads:
        torch.set_num_threads(threads)
