"""Callbacks that keep a search from going wrong: frozen operations, a watch on sharpness."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from darts_lite.networks.supernet import MixedOperation
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.bilevel import gradients_of
from darts_lite.search.supernet_loss import SupernetLoss


class OperationFreezing(Callback):
    """Stops the training of operations that have begun to overfit (OLES, Jiang, NeurIPS 2023).

    For each operation with weights, the cosine between the gradient of the validation loss and that
    of the training loss in its weights is averaged over some steps; an operation whose average is
    low learns what only its training images know, and its weights stay as they are for good.

    Args:
        threshold: Cosine below which an operation is frozen.
        window: Measurements that are averaged.
        every_n_steps: Steps between two measurements, each of which costs two passes.

    Raises:
        ValueError: if a number is out of range.
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

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freezes what a checkpoint says is frozen, and nothing else where a search goes back."""
        if isinstance(pl_module, ArchitectureSearch):
            for name, operation in operations_of(pl_module).items():
                operation.requires_grad_(name not in self.frozen)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Measures, and freezes what is low."""
        if not isinstance(pl_module, ArchitectureSearch):
            return
        if trainer.global_step % self.every_n_steps:
            return
        learning = {
            name: operation
            for name, operation in operations_of(pl_module).items()
            if name not in self.frozen
        }
        for name, cosine in cosines(pl_module, batch, learning).items():
            measured = self._cosines.setdefault(name, [])
            measured.append(cosine)
            if len(measured) == self.window:
                if sum(measured) / self.window < self.threshold:
                    learning[name].requires_grad_(False)
                    self.frozen.add(name)
                measured.clear()
        pl_module.log("search/frozen_operations", float(len(self.frozen)))

    def state_dict(self) -> dict[str, Any]:
        """What is frozen, and the averages so far."""
        return {"frozen": sorted(self.frozen), "cosines": copy.deepcopy(self._cosines)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        self.frozen, self._cosines = set(state_dict["frozen"]), dict(state_dict["cosines"])


def operations_of(search: ArchitectureSearch) -> dict[str, nn.Module]:
    """The candidates with weights of all edges of all cells, by name."""
    return {
        f"{edge_name}.{name}": operation
        for edge_name, edge in search.supernet.named_modules()
        if isinstance(edge, MixedOperation)
        for name, operation in edge.candidates.items()
        if any(True for _ in operation.parameters())
    }


def cosines(
    search: ArchitectureSearch,
    batch: Mapping[str, tuple[Tensor, Tensor]],
    operations: Mapping[str, nn.Module],
) -> dict[str, float]:
    """Cosine of the two losses' gradients in the weights of each operation; nothing is changed.

    Where a relaxation draws candidates, those that were not drawn have no gradients, and are left
    out.
    """
    with torch.random.fork_rng(cuda_of(search)):
        drawn = search.mixture.drawn(search.progress)
    mixing = {kind: weights.detach() for kind, weights in drawn.items()}
    names = {weight: i for i, weight in enumerate(search.supernet.weights())}
    here = [weight.detach().requires_grad_() for weight in names]
    gradients = [
        gradients_of(SupernetLoss(search.supernet, *batch[split], mixing, list(names))(here), here)
        for split in ("alphas", "weights")
    ]
    result = {}
    for name, operation in operations.items():
        places = [names[weight] for weight in operation.parameters()]
        validation, training = (torch.cat([g[i].flatten() for i in places]) for g in gradients)
        if validation.any() and training.any():
            result[name] = float(torch.cosine_similarity(validation, training, dim=0))
    return result


def cuda_of(search: LightningModule) -> list[torch.device]:
    """The GPU whose generator of chance must be kept, where there is one."""
    return [search.device] if search.device.type == "cuda" else []
