"""Stops the training of operations that begin to overfit."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import list_cuda_devices
from darts_lite.search.bilevel import gradients_of
from darts_lite.search.supernet_loss import SupernetLoss


class OperationFreezing(Callback):
    """Stops the training of operations that have begun to overfit (OLES, Jiang, NeurIPS 2023).

    For each operation with weights, the cosine between the gradients of the validation loss and of
    the training loss in its weights is averaged over some steps. An operation with a low average
    learns only what is specific to its training images, so its weights are frozen for good.

    Args:
        threshold: Mean cosine below which an operation is frozen.
        window: Number of measurements in a mean.
        every_n_steps: Number of steps between two measurements, each of which costs two passes.
    """

    def __init__(self, threshold: float = 0.4, window: int = 20, every_n_steps: int = 5) -> None:
        if not -1 <= threshold <= 1 or window < 1 or every_n_steps < 1:
            raise ValueError(
                "freezing needs a threshold from -1 to 1, a window and every_n_steps of at least "
                f"1; got {threshold}, {window} and {every_n_steps}"
            )
        self.threshold, self.window, self.every_n_steps = threshold, window, every_n_steps
        self.frozen: set[str] = set()
        self._cosines: dict[str, list[float]] = {}
        self._stopped: list[nn.Parameter] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freezes what is recorded as frozen, and unfreezes the rest, as after a rollback."""
        if isinstance(pl_module, ArchitectureSearch):
            for weight in self._stopped:
                weight.requires_grad_(True)
            self._stopped.clear()
            operations = find_operations(pl_module)
            for name in self.frozen & operations.keys():
                self._freeze(operations[name])

    def _freeze(self, operation: nn.Module) -> None:
        for weight in operation.parameters():
            if weight.requires_grad:  # the user may have frozen others
                weight.requires_grad_(False)
                self._stopped.append(weight)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, *_: Any, **__: Any
    ) -> None:
        """Measures the cosines, and freezes operations with a low mean."""
        if not isinstance(pl_module, ArchitectureSearch):
            return
        if trainer.global_step % self.every_n_steps:
            return
        learning = {
            name: operation
            for name, operation in find_operations(pl_module).items()
            if any(weight.requires_grad for weight in operation.parameters())
        }
        for name, cosine in measure_cosines(pl_module, batch, learning).items():
            measured = self._cosines.setdefault(name, [])
            measured.append(cosine)
            if len(measured) == self.window:
                if sum(measured) / self.window < self.threshold:
                    self._freeze(learning[name])
                    self.frozen.add(name)
                measured.clear()
        pl_module.log("search/frozen_operations", float(len(self.frozen)))

    def state_dict(self) -> dict[str, Any]:
        return {"frozen": sorted(self.frozen), "cosines": copy.deepcopy(self._cosines)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.frozen, self._cosines = set(state_dict["frozen"]), dict(state_dict["cosines"])


def find_operations(search: ArchitectureSearch) -> dict[str, nn.Module]:
    """Returns the operations with weights of all options, by name."""
    operations = search.supernet.mixed.operations()
    return {
        name: operation
        for name, operation in operations.items()
        if any(True for _ in operation.parameters())
    }


def measure_cosines(
    search: ArchitectureSearch,
    batch: Mapping[str, tuple[Tensor, Tensor]],
    operations: Mapping[str, nn.Module],
) -> dict[str, float]:
    """Returns the cosine of both losses' gradients in the weights of each operation, by name.

    Nothing in the search changes. Candidates that a relaxation has not drawn have no gradients, and
    are left out.
    """
    # One draw for both losses, which leaves the search's random generators untouched.
    with torch.random.fork_rng(list_cuda_devices(search)):
        drawn = search.mixture.sample(search.progress)
    mixing = {kind: weights.detach() for kind, weights in drawn.items()}
    positions = {weight: i for i, weight in enumerate(search.supernet.weights())}
    # Gradients in copies of the weights: per loss a list of tensors of the weights' shapes.
    here = [weight.detach().requires_grad_() for weight in positions]
    losses = [
        SupernetLoss(search.supernet, *batch[split], mixing, list(positions), search.loss)
        for split in ("alphas", "weights")
    ]
    gradients = [gradients_of(loss(here), here) for loss in losses]
    result = {}
    for name, operation in operations.items():
        # All weights of the operation as one vector, for each of the two losses.
        places = [positions[weight] for weight in operation.parameters()]
        validation, training = (torch.cat([g[i].flatten() for i in places]) for g in gradients)
        if validation.any() and training.any():
            result[name] = float(torch.cosine_similarity(validation, training, dim=0))
    return result
