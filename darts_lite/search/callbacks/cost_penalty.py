"""Adds the expected cost of the derived net to a search's loss."""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from darts_lite.derivation.costs import COSTS, load_or_measure_costs, measure_costs
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cost_tables import Costs, Images


class CostPenalty(Callback):
    """Adds the expected cost of the derived net to the loss of the alphas.

    Without a budget the penalty is ``strength * expected / that of even shares``. With a budget it
    is ``strength * max(0, expected / budget - 1)``, which is 0 for a search within the budget. The
    expectation is `darts_lite.space.cost_tables.Costs.expected`, whose gradient in the alphas is
    exact (ProxylessNAS, arXiv 1812.00332, section 3.3, has the same for latency). The net is the
    one that is retrained, as far as a `darts_lite.WithinBudget` of the search gives its skeleton.

    Args:
        cost: ``parameters``, ``multiply_adds``, or ``latency``: milliseconds for one image,
            measured for every operation on the search's device at its start; needs a `table`.
        table: File of the operations' costs, which may come from another device; if there is no
            such file, they are measured and written.
        strength: Weight of the penalty.
        budget: Largest cost without a penalty, in its own unit.
    """

    def __init__(
        self,
        cost: str = "multiply_adds",
        strength: float = 0.1,
        budget: float | None = None,
        table: str | None = None,
    ) -> None:
        if cost not in COSTS:
            raise ValueError(f"unknown cost {cost!r}; choose from {sorted(COSTS)}")
        if not strength > 0 or (budget is not None and not budget > 0):
            raise ValueError(
                f"strength and budget of a cost must be above 0, got {strength} and {budget}"
            )
        if cost == "latency" and table is None:  # measured again, a resumed search would differ
            raise ValueError("a latency penalty needs a table: set table to the path of a file")
        self.cost, self.strength, self.budget, self.table = cost, strength, budget, table

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures the operations and adds the penalty to the search's regularizers, once."""
        if not isinstance(pl_module, ArchitectureSearch):
            return
        if any(getattr(other, "owner", None) is self for other in pl_module.regularizers):
            return
        side = trainer.datamodule.image_size  # type: ignore[attr-defined]
        known = pl_module.hparams
        images = Images(known["in_channels"], known["num_classes"], side)
        about = images, pl_module.device if self.cost == "latency" else "meta"
        table, space = None, pl_module.derivation.retrained_space(pl_module.space)
        if trainer.is_global_zero and self.table is not None:
            table = load_or_measure_costs(self.table, space, self.cost, *about)
        elif trainer.is_global_zero:
            table = measure_costs(space, self.cost, *about)
        table = cast(Costs, trainer.strategy.broadcast(table))  # one measurement for all ranks
        penalty = ExpectedCost(self, table, pl_module.mixture.ranking)
        pl_module.regularizers = [*pl_module.regularizers, penalty]


class ExpectedCost:
    """The penalty of a `CostPenalty`, once the costs are known; edge weights count too."""

    def __init__(
        self, owner: CostPenalty, table: Costs, ranking: Callable[[], Mapping[str, Tensor]]
    ) -> None:
        self.owner, self.table, self.ranking = owner, table, ranking
        even = {name: torch.ones_like(row) for name, row in ranking().items()}
        self.unit = owner.budget or float(table.expected(even))

    def penalty(self, alphas: Mapping[str, Tensor], progress: float) -> Tensor:
        relative = self.table.expected(self.ranking()) / self.unit
        if self.owner.budget is not None:
            relative = (relative - 1).clamp_min(0)
        return self.owner.strength * relative
