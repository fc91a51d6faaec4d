"""Adds what a net would cost above the limits of a search to its loss."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from darts_lite.search.architecture_search import ArchitectureSearch

STEEPEST = 10.0
"""How many times the loss it costs at the end of a search to be above a limit by all of it."""


class BudgetPenalty(Callback):
    """Adds expected costs above the limits of the search's rule to the loss of the alphas.

    The penalty is ``loss * strength * sum of max(0, expected / limit - 1)``. The loss is that of
    the weights when the alphas begin to move, and the strength rises from 0 to 10 from there to the
    end of the search, so that nothing is left to tune (DUCCIO, arXiv 2310.07217). A search within
    its limits is not penalised.
    """

    def __init__(self) -> None:
        self.loss: float | None = None
        self.began = 0.0  # share of the search that was done

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Adds the penalty to the search's regularizers, once."""
        if not isinstance(pl_module, ArchitectureSearch):
            return
        if not any(getattr(other, "owner", None) is self for other in pl_module.regularizers):
            pl_module.regularizers = [*pl_module.regularizers, OverBudget(self, pl_module)]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        """Notes the loss until the alphas begin to move; without a warm-up, the first one."""
        if not isinstance(pl_module, ArchitectureSearch):
            return
        if self.loss is None or not pl_module.has_chosen:
            self.loss = float(trainer.callback_metrics["search/weights_loss"])
            self.began = pl_module.progress

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "began": self.began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.loss, self.began = state_dict["loss"], state_dict["began"]


class OverBudget:
    """The penalty of a `BudgetPenalty`, by the rule of a search."""

    def __init__(self, owner: BudgetPenalty, search: ArchitectureSearch) -> None:
        self.owner, self.search = owner, search

    def penalty(self, alphas: Mapping[str, Tensor], progress: float) -> Tensor:
        search = self.search  # its rule reads costs when the search begins
        uses = search.derivation.expect_use(search.space, search.mixture.ranking())
        if not uses or self.owner.loss is None:
            return 0 * next(iter(alphas.values())).sum()
        over = torch.stack([(use - 1).clamp_min(0) for use in uses.values()]).sum()
        done = (progress - self.owner.began) / max(1e-9, 1 - self.owner.began)
        return self.owner.loss * STEEPEST * done * over
