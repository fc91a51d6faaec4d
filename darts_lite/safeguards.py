"""Callbacks that keep a search from going wrong: frozen operations, a watch on sharpness."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor, nn

from darts_lite.bilevel import frozen, gradients_of
from darts_lite.losses import SupernetLoss
from darts_lite.search import ArchitectureSearch
from darts_lite.supernet import MixedOperation


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


class EigenvalueMonitor(Callback):
    """Stops a search whose optimum grows sharp, and goes back (R-DARTS, 1909.09656, section 4).

    The dominant eigenvalue of the Hessian of the validation loss in the architecture parameters is
    taken at the end of each epoch. When the mean of its size over the last epochs has grown by more
    than a factor since as many epochs ago, the parameters go back to where they were then, and the
    search ends: discretising from a sharp optimum loses much.

    Args:
        factor: Largest growth of the mean; 1 / 0.75 as published.
        window: Epochs in a mean, and to go back.
        iterations: Steps of the power iteration.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, factor: float = 1.3, window: int = 5, iterations: int = 10) -> None:
        if not factor > 0 or window < 1 or iterations < 1:
            raise ValueError(
                "the monitor needs a factor above 0, a window and iterations of at least 1; got "
                f"{factor}, {window} and {iterations}"
            )
        self.factor, self.window, self.iterations = factor, window, iterations
        self.eigenvalues: list[float] = []
        self._parameters: list[list[Tensor]] = []  # after each of the last epochs

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warns of a search that ends before two means can be compared."""
        epochs = trainer.max_epochs
        searches = isinstance(pl_module, ArchitectureSearch)
        if searches and epochs is not None and 0 <= epochs < 2 * self.window:
            rank_zero_warn(
                f"the eigenvalue monitor compares means of {self.window} epochs, for which the "
                f"{epochs} epochs of this search are too few; lower its window"
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures, and goes back where it has grown too much."""
        if not isinstance(pl_module, ArchitectureSearch):
            return
        images, labels = next(iter(trainer.datamodule.alphas_dataloader()))  # type: ignore[attr-defined]
        value = dominant_eigenvalue(pl_module, images, labels, self.iterations)
        self.eigenvalues.append(value)
        parameters = pl_module.mixture.parameters()
        self._parameters.append([parameter.detach().clone() for parameter in parameters])
        self._parameters = self._parameters[-self.window - 1 :]
        pl_module.log("alphas/eigenvalue", value, sync_dist=True)
        if len(self.eigenvalues) < 2 * self.window:
            return
        now, then = self._mean(0), self._mean(self.window)
        if now > self.factor * then:
            for parameter, value_then in zip(parameters, self._parameters[0], strict=True):
                parameter.data.copy_(value_then)
            trainer.should_stop = True
            rank_zero_info(
                f"The Hessian's eigenvalue has grown from {then:.3g} to {now:.3g}: the search "
                f"ends, and the alphas go back {self.window} epochs."
            )

    def _mean(self, ago: int) -> float:
        end = len(self.eigenvalues) - ago
        return sum(map(abs, self.eigenvalues[end - self.window : end])) / self.window

    def state_dict(self) -> dict[str, Any]:
        """All eigenvalues so far, and the parameters to go back to."""
        return {"eigenvalues": list(self.eigenvalues), "parameters": list(self._parameters)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        self.eigenvalues = list(state_dict["eigenvalues"])
        self._parameters = list(state_dict["parameters"])


def dominant_eigenvalue(
    search: ArchitectureSearch, images: Tensor, labels: Tensor, iterations: int
) -> float:
    """The largest eigenvalue, by size, of the loss's Hessian in the architecture parameters.

    Power iteration on products of the Hessian and a vector; the weights and all statistics are left
    alone.

    Args:
        search: Whose supernet and parameters.
        images, labels: The batch of the loss, ``(B, C, H, W)`` and ``(B,)``.
        iterations: Products.
    """
    parameters = search.mixture.parameters()
    weights = search.supernet.weights()
    with torch.random.fork_rng(cuda_of(search)), torch.enable_grad(), frozen(weights):
        mixing = search.mixture.drawn(search.progress)
        loss = SupernetLoss(search.supernet, images.to(weights[0].dtype), labels, mixing, weights)(
            [weight.detach() for weight in weights]
        )
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        torch.manual_seed(0)
        vector = [torch.randn_like(parameter) for parameter in parameters]
        eigenvalue = 0.0
        for _ in range(iterations):
            length = torch.stack([part.square().sum() for part in vector]).sum().sqrt()
            vector = [part / length.clamp_min(1e-30) for part in vector]
            product = torch.autograd.grad(slopes, parameters, vector, retain_graph=True)
            eigenvalue = float(sum((a * b).sum() for a, b in zip(product, vector, strict=True)))
            vector = list(product)
    return eigenvalue


def cuda_of(search: LightningModule) -> list[torch.device]:
    """The GPU whose generator of chance must be kept, where there is one."""
    return [search.device] if search.device.type == "cuda" else []
