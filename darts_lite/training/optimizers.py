"""Default optimizers of search and retraining, and the length of their schedules."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

if TYPE_CHECKING:  # thrice as long to import as torch is
    from lightning.pytorch import Trainer


def darts_sgd(parameters: Iterable[Any]) -> Optimizer:
    """Returns DARTS' optimizer of the weights (arXiv 1806.09055, appendix A.1)."""
    return torch.optim.SGD(parameters, lr=0.025, momentum=0.9, weight_decay=3e-4)


def darts_adam(parameters: Iterable[Any]) -> Optimizer:
    """Returns DARTS' optimizer of the alphas (arXiv 1806.09055, appendix A.1)."""
    return torch.optim.Adam(parameters, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)


def make_cosine(optimizer: Optimizer, steps: int, final: float) -> LRScheduler:
    """Returns a schedule that falls along a cosine over all steps to a share of the first rate."""
    rate = optimizer.param_groups[0]["lr"]
    return CosineAnnealingLR(optimizer, steps, eta_min=final * rate)


def check_rates(final_learning_rate: float, gradient_clip: float) -> None:
    """Raises ValueError if a setting of the weights' training is out of range."""
    if not 0 <= final_learning_rate <= 1:
        raise ValueError(f"final_learning_rate must be a share in 0..1, got {final_learning_rate}")
    if not gradient_clip > 0:
        raise ValueError(f"gradient_clip must be above 0, got {gradient_clip}")


def try_optimizer(name: str, make: Callable[[Iterable[Any]], Optimizer]) -> Optimizer:
    """Makes an optimizer for a throw-away parameter and takes a step, so that mistakes show early.

    Raises ValueError, with the setting's name, if that fails: a step may need gradients only.
    """
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    try:
        optimizer = make([parameter])
        optimizer.step()
        if not parameter.isfinite().all():
            raise ValueError("its settings are not finite")
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{name} does not make an optimizer that can be used ({error})") from error
    return optimizer


def count_steps(trainer: "Trainer") -> int:
    """Returns a training's number of optimizer steps; raises ValueError if it has no end."""
    steps = trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise ValueError("schedules need an end: set trainer.max_epochs or trainer.max_steps")
    return max(1, int(steps))
