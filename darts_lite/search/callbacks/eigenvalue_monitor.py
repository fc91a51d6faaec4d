"""Stops a search whose optimum grows sharp."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.base import list_cuda_devices
from darts_lite.search.bilevel import frozen
from darts_lite.search.supernet_loss import SupernetLoss


class EigenvalueMonitor(Callback):
    """Stops a search whose optimum grows sharp, and goes back (R-DARTS, 1909.09656, section 4).

    At the end of each epoch it computes the dominant eigenvalue of the Hessian of the validation
    loss in the architecture parameters. Its absolute value is averaged over the last epochs. If
    this mean has grown by more than a factor over as many epochs, the parameters go back to their
    values before these epochs, and the search ends: discretising from a sharp optimum loses much.

    Args:
        factor: Largest growth of the mean; 1 / 0.75 as published.
        window: Number of epochs in a mean, and to go back.
        iterations: Number of steps of the power iteration.
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
        epochs = -1 if trainer.max_epochs is None else trainer.max_epochs
        if isinstance(pl_module, ArchitectureSearch) and 0 <= epochs < 2 * self.window:
            rank_zero_warn(
                f"the eigenvalue monitor needs {2 * self.window} epochs to compare two means of "
                f"{self.window}, but trainer.max_epochs is {epochs}; lower its window"
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures the eigenvalue, and goes back if it has grown too much."""
        if not isinstance(pl_module, ArchitectureSearch):
            return
        images, labels = next(iter(trainer.datamodule.alphas_dataloader()))  # type: ignore[attr-defined]
        value = compute_dominant_eigenvalue(pl_module, images, labels, self.iterations)
        self.eigenvalues.append(value)
        parameters = pl_module.mixture.parameters()
        self._parameters.append([parameter.detach().clone() for parameter in parameters])
        self._parameters = self._parameters[-self.window - 1 :]
        pl_module.log("alphas/eigenvalue", value, sync_dist=True)
        if len(self.eigenvalues) < 2 * self.window:
            return
        now, then = self._compute_mean(0), self._compute_mean(self.window)
        if now > self.factor * then:
            for parameter, value_then in zip(parameters, self._parameters[0], strict=True):
                parameter.data.copy_(value_then)
            trainer.should_stop = True
            rank_zero_info(
                f"The Hessian's eigenvalue has grown from {then:.3g} to {now:.3g}: the search "
                f"ends, and the alphas go back {self.window} epochs."
            )

    def _compute_mean(self, ago: int) -> float:
        end = len(self.eigenvalues) - ago
        return sum(map(abs, self.eigenvalues[end - self.window : end])) / self.window

    def state_dict(self) -> dict[str, Any]:
        return {"eigenvalues": list(self.eigenvalues), "parameters": list(self._parameters)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.eigenvalues = list(state_dict["eigenvalues"])
        self._parameters = list(state_dict["parameters"])


def compute_dominant_eigenvalue(
    search: ArchitectureSearch, images: Tensor, labels: Tensor, iterations: int
) -> float:
    """Computes the eigenvalue of largest size of the loss's Hessian in the architecture parameters.

    It uses power iteration on products of the Hessian and a vector. The batch of the loss is
    ``(B, C, H, W)`` and ``(B,)``. Weights, statistics and random generators stay untouched.
    """
    parameters = search.mixture.parameters()
    weights = search.supernet.weights()
    with torch.random.fork_rng(list_cuda_devices(search)), torch.enable_grad(), frozen(weights):
        # The gradient g of the loss in the parameters, each of its parameter's shape, with a graph.
        mixing = search.mixture.sample(search.progress)
        images = images.to(weights[0].dtype)
        compute = SupernetLoss(search.supernet, images, labels, mixing, weights, search.loss)
        loss = compute([weight.detach() for weight in weights])
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        torch.manual_seed(0)
        vector = [torch.randn_like(parameter) for parameter in parameters]
        eigenvalue = 0.0
        for _ in range(iterations):
            # v = v / |v|, the norm being over all parameters together.
            length = torch.stack([part.square().sum() for part in vector]).sum().sqrt()
            vector = [part / length.clamp_min(1e-30) for part in vector]
            # H v is the gradient of <g, v>; the Rayleigh quotient v' H v tends to the eigenvalue.
            product = torch.autograd.grad(slopes, parameters, vector, retain_graph=True)
            eigenvalue = float(sum((a * b).sum() for a, b in zip(product, vector, strict=True)))
            vector = list(product)
    return eigenvalue
