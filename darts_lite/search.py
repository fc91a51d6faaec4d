"""The LightningModule that alternates architecture and weight updates."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import update_bn
from torchmetrics.classification import MulticlassAccuracy

from darts_lite.architecture import Architecture
from darts_lite.bilevel import first_order, frozen
from darts_lite.checkpoints import describe_data
from darts_lite.cuda_graphs import Graphed, Step
from darts_lite.derivation import derive
from darts_lite.folding import Folded
from darts_lite.net import Net
from darts_lite.relaxation import (
    BetaDecay,
    Relaxation,
    Softmax,
    drift,
    normalized_entropy,
    top2_margins,
)
from darts_lite.search_space import SearchSpace
from darts_lite.supernet import Executor, Supernet

Batch = tuple[Tensor, Tensor]
RECALIBRATION_BATCHES = 50


def darts_sgd(parameters: Iterable[Any]) -> Optimizer:
    """DARTS' optimizer of the weights (arXiv 1806.09055, appendix A.1)."""
    return torch.optim.SGD(parameters, lr=0.025, momentum=0.9, weight_decay=3e-4)


def darts_adam(parameters: Iterable[Any]) -> Optimizer:
    """DARTS' optimizer of the alphas (arXiv 1806.09055, appendix A.1)."""
    return torch.optim.Adam(parameters, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)


def total_steps(trainer: Trainer) -> int:
    """Optimizer steps of a whole training, which schedules are laid out over.

    Raises:
        ValueError: if the training has no end.
    """
    steps = trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise ValueError("schedules need an end: set trainer.max_epochs or trainer.max_steps")
    return max(1, int(steps))


class ArchitectureSearch(LightningModule):
    """First-order DARTS (arXiv 1806.09055, algorithm 1) with interchangeable parts.

    Each batch holds images of two disjoint halves of the training set: ``"alphas"`` updates the
    architecture parameters, then ``"weights"`` the weights.

    Args:
        space: What may be chosen; `SearchSpace`, or a function that returns one.
        in_channels: Channels of the images; the CLI takes it from the data.
        num_classes: Number of classes; the CLI takes it from the data.
        relaxation: How alphas become mixing weights; softmax when not given.
        regularizer: Added to the loss of the alphas, for instance `BetaDecay`.
        weights_optimizer: Makes the optimizer of the weights; its rate falls along a cosine.
        alphas_optimizer: Makes the optimizer of the alphas.
        warmup_epochs: Epochs, or parts of one, that train the weights alone at first.
        final_learning_rate: Where the cosine of the weights' learning rate ends, as a share.
        gradient_clip: Largest norm of the weights' gradient.
        executor: How mixed cells are computed: `Folded` when not given, or `Literal`. It makes no
            difference to the result or to checkpoints.
        cuda_graphs: Whether to replay each update's passes as one CUDA graph, for GPUs that wait
            for the processor; batches need one shape.
        partial_channels: Search on 1/k of the channels only, for less time and memory (PC-DARTS).

    Raises:
        ValueError: if a value is out of range.
    """

    paired_batches = True
    architecture_steps: Tensor

    def __init__(
        self,
        space: SearchSpace,
        in_channels: int = 1,
        num_classes: int = 10,
        relaxation: Relaxation | None = None,
        regularizer: BetaDecay | None = None,
        weights_optimizer: OptimizerCallable = darts_sgd,
        alphas_optimizer: OptimizerCallable = darts_adam,
        warmup_epochs: float = 0.0,
        final_learning_rate: float = 0.04,
        gradient_clip: float = 5.0,
        executor: Executor | None = None,
        partial_channels: int = 1,
        cuda_graphs: bool = False,
    ) -> None:
        super().__init__()
        if warmup_epochs < 0:
            raise ValueError(f"warmup_epochs must be at least 0, got {warmup_epochs}")
        if not 0 <= final_learning_rate <= 1:
            raise ValueError(f"final_learning_rate is a share, 0 to 1; got {final_learning_rate}")
        if gradient_clip <= 0:
            raise ValueError(f"gradient_clip must be above 0, got {gradient_clip}")
        self.space = SearchSpace.of(space)
        self.save_hyperparameters(
            {
                "space": self.space.to_dict(),
                "in_channels": in_channels,
                "num_classes": num_classes,
                "warmup_epochs": warmup_epochs,
                "final_learning_rate": final_learning_rate,
                "gradient_clip": gradient_clip,
                "partial_channels": partial_channels,
            },
            logger=False,
        )
        self.automatic_optimization = False
        self.relaxation = relaxation or Softmax()
        self.regularizer = regularizer
        self.weights_optimizer = weights_optimizer
        self.alphas_optimizer = alphas_optimizer
        self.warmup_epochs = warmup_epochs
        self.final_learning_rate = final_learning_rate
        self.gradient_clip = gradient_clip
        self.cuda_graphs = cuda_graphs
        self.supernet = Supernet(
            self.space, in_channels, num_classes, executor or Folded(), partial_channels
        )
        self.supernet.to(memory_format=torch.channels_last)  # faster on CPUs and tensor cores
        self.register_buffer("architecture_steps", torch.zeros((), dtype=torch.long))
        for kind, shares in self.shares().items():
            self.register_buffer(f"initial_shares_{kind}", shares)
        self.accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.derived_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self._derived: list[Net] = []  # a list, so that it is no submodule

    # ------------------------------------------------------------------ the two updates

    def training_step(self, batch: Mapping[str, Batch], batch_index: int) -> None:
        """One architecture step (after the warm-up), then one weight step."""
        if self.global_step >= self.warmup_epochs * self.trainer.num_training_batches:
            self.update_alphas(*batch["alphas"])
        self.update_weights(*batch["weights"])

    def update_alphas(self, images: Tensor, labels: Tensor) -> None:
        """One step of the alphas' optimizer on ``(B, C, H, W)`` and ``(B,)``."""
        alphas = dict(self.supernet.alphas.items())
        logits, loss, *gradients = self._alphas_step(images, labels)
        self._log_batch("alphas", logits, labels, loss)
        if self.regularizer is not None:
            progress = self.global_step / total_steps(self.trainer)
            penalty = self.regularizer(alphas, progress)
            penalties = torch.autograd.grad(penalty, list(alphas.values()))
            gradients = [g + p for g, p in zip(gradients, penalties, strict=True)]
        if self._scaler is not None and not all(g.isfinite().all() for g in gradients):
            return  # float16 overflow: the scaler lowers its scale at the weight step
        for alpha, gradient in zip(alphas.values(), gradients, strict=True):
            alpha.grad = gradient
        # Unwrapped: a step through Lightning's wrapper would count as a global step.
        self._optimizer(1).step()
        self._optimizer(1).zero_grad()
        self.architecture_steps += 1

    def update_weights(self, images: Tensor, labels: Tensor) -> None:
        """One step of the weights' optimizer on ``(B, C, H, W)`` and ``(B,)``."""
        optimizer, _ = cast(list[LightningOptimizer], self.optimizers())
        logits, loss, *gradients = self._weights_step(images, labels)
        self._log_batch("weights", logits, labels, loss)
        for weight, gradient in zip(self.supernet.weights(), gradients, strict=True):
            weight.grad = gradient
        optimizer.step()
        cast(LRScheduler, self.lr_schedulers()).step()

    def alphas_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Logits, loss, and the loss's gradient in each kind's alphas, without the regularizer."""
        scale = 1.0 if self._scaler is None else self._scaler.get_scale()
        with frozen(self.supernet.weights()):
            logits = self.supernet(images, self.mixing_weights())
            loss = cross_entropy(logits, labels)
            gradients = first_order(loss, list(self.supernet.alphas.values()), scale)
        return logits.detach(), loss.detach(), *gradients

    def weights_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor | None, ...]:
        """Logits, loss, and the loss's gradient in each weight, as Lightning scales it."""
        weights = self.supernet.weights()
        for weight in weights:
            weight.grad = None
        logits = self.supernet(images, {k: w.detach() for k, w in self.mixing_weights().items()})
        loss = cross_entropy(logits, labels)
        self.manual_backward(loss)
        return logits.detach(), loss.detach(), *(weight.grad for weight in weights)

    def on_fit_start(self) -> None:
        """Captures the steps in CUDA graphs, where that was asked for and is possible."""
        self._alphas_step: Step = self.alphas_gradients
        self._weights_step: Step = self.weights_gradients
        if not self.cuda_graphs:
            return
        if self.device.type != "cuda" or self._scaler is not None:
            rank_zero_warn(
                "cuda_graphs needs a GPU and a precision other than 16-mixed; the steps run without"
            )
            return
        self._alphas_step = Graphed(self.alphas_gradients, self.supernet.buffers)
        self._weights_step = Graphed(self.weights_gradients, self.supernet.buffers)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips the weights' gradient; Lightning calls this after unscaling."""
        torch.nn.utils.clip_grad_norm_(self.supernet.weights(), self.gradient_clip)

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """Both optimizers, and the cosine of the weights' learning rate over all steps."""
        weights = self.weights_optimizer(self.supernet.weights())
        alphas = self.alphas_optimizer(list(self.supernet.alphas.values()))
        steps = total_steps(self.trainer)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
            weights, steps, eta_min=self.final_learning_rate * weights.param_groups[0]["lr"]
        )
        return [weights, alphas], [cosine]

    # ------------------------------------------------------------------ validation

    def on_validation_epoch_start(self) -> None:
        """Where validation is all there is to do, the derived net is validated as well.

        A net does not fit the weights of a supernet that searched on a part of the channels.
        """
        if self.trainer.state.fn == "validate" and self.hparams["partial_channels"] == 1:
            self._derived = [self.inherited_net()]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and accuracy of the supernet, and of the derived net where there is one."""
        images, labels = batch
        logits = self.supernet(images, self.shares())
        self.accuracy(logits, labels)
        self.log("search/validation_loss", cross_entropy(logits, labels), batch_size=len(labels))
        self.log("search/validation_accuracy", self.accuracy, prog_bar=True, batch_size=len(labels))
        for net in self._derived:
            self.derived_accuracy(net(images), labels)
            self.log("derived/validation_accuracy", self.derived_accuracy, batch_size=len(labels))

    def on_validation_epoch_end(self) -> None:
        """Forgets the derived net and logs how far the alphas have come."""
        self._derived = []
        self.log_dict({f"alphas/{name}": value for name, value in self.diagnostics().items()})

    def inherited_net(self) -> Net:
        """The derived net with the supernet's weights and norms calibrated on training images."""
        net = Net(self.derive(), self.hparams["in_channels"], self.hparams["num_classes"])
        net.inherit(self.supernet)
        net.to(self.device)
        loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        images = (batch["weights"][0] for batch in loader)
        update_bn(islice(images, RECALIBRATION_BATCHES), net)
        return net.eval()

    # ------------------------------------------------------------------ the architecture

    def mixing_weights(self) -> dict[str, Tensor]:
        """Differentiable mixing weights of a training step, kind -> ``(edges, candidates)``."""
        return {k: self.relaxation.mixing_weights(a) for k, a in self.supernet.alphas.items()}

    def shares(self) -> dict[str, Tensor]:
        """What ranks the candidates: kind -> ``(edges, candidates)``, without a graph."""
        return {k: self.relaxation.shares(a.detach()) for k, a in self.supernet.alphas.items()}

    def derive(self) -> Architecture:
        """The architecture that the alphas stand for now."""
        found_by = {"algorithm": self.algorithm, "architecture_steps": int(self.architecture_steps)}
        return derive(self.space, self.shares(), found_by)

    @property
    def algorithm(self) -> str:
        """A short name for reports."""
        parts = ["first-order DARTS", type(self.relaxation).__name__]
        parts += [type(self.regularizer).__name__] if self.regularizer else []
        return ", ".join(parts)

    def diagnostics(self) -> dict[str, float]:
        """How decided the alphas are, over all edges of all kinds of cells."""
        shares = torch.cat(list(self.shares().values()))  # (all edges, candidates)
        initial = torch.cat([getattr(self, f"initial_shares_{kind}") for kind in self.shares()])
        values = {
            "entropy": normalized_entropy(shares),
            "median_top2_margin": top2_margins(shares).median(),
            "drift": drift(shares, initial),
        }
        if "skip_connect" in self.space.candidates:
            position = self.space.candidates.index("skip_connect")
            values["skip_share"] = shares[:, position].mean()
        return {name: float(value) for name, value in values.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what other commands need: the architecture and the settings as plain values."""
        checkpoint["architecture"] = self.derive().to_dict()
        checkpoint["model"] = {
            "class_path": "darts_lite.search.ArchitectureSearch",
            "init_args": dict(self.hparams),
        }
        checkpoint |= describe_data(self)

    # ------------------------------------------------------------------ helpers

    @property
    def _scaler(self) -> Any:
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def _optimizer(self, position: int) -> Optimizer:
        return cast(list[Optimizer], self.optimizers(use_pl_optimizer=False))[position]

    def _log_batch(self, split: str, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        rate = self._optimizer(0 if split == "weights" else 1).param_groups[0]["lr"]
        shown = split == "weights"
        self.log(f"search/{split}_loss", loss.detach(), prog_bar=shown)
        self.log(f"search/{split}_accuracy", accuracy, prog_bar=shown)
        self.log(f"search/{split}_learning_rate", rate)
