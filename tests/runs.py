"""A quiet trainer and small settings that several tests use."""

from typing import Any

import torch
from lightning.pytorch import Trainer

from darts_lite.search_space import SearchSpace

SMALL = SearchSpace(
    ("none", "skip_connect", "max_pool_3x3", "conv_3x3"),
    nodes=2,
    channels=4,
    cells=2,
    reductions=(1,),
    stem="conv3x3_stride2",
)


def quiet_trainer(**settings: Any) -> Trainer:
    """A trainer on the CPU that prints and writes nothing."""
    defaults = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "log_every_n_steps": 1,
    }
    return Trainer(**{**defaults, **settings})


def fast_sgd(parameters: Any) -> torch.optim.Optimizer:
    """SGD quick enough for a few dozen steps."""
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
