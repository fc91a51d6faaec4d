"""The search by gradients: updates architecture parameters and weights in turn."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from darts_lite.data.batches import Batch
from darts_lite.derivation.budget import DERIVATIONS
from darts_lite.derivation.rules import Derivation, derive, rule_from
from darts_lite.networks.cells.mixed import Executor
from darts_lite.networks.kinds import SpaceSettings, build_architecture
from darts_lite.networks.supernet import Supernet
from darts_lite.search.base import Search, name_algorithm
from darts_lite.search.bilevel import (
    ArchitectureGradient,
    FirstOrder,
    list_weights,
    without_autocast,
)
from darts_lite.search.cuda_graphs import Step, capture_graphs
from darts_lite.search.diagnostics import diagnose
from darts_lite.search.executors import Execution
from darts_lite.search.mixing_weights import Mixture
from darts_lite.search.regularizers import Regularizer
from darts_lite.search.relaxations import RELAXATIONS, Relaxation, Softmax
from darts_lite.search.supernet_loss import SupernetLoss
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.components import build_component, describe_component
from darts_lite.training.loss_scaling import find_scaler, lower_scale
from darts_lite.training.optimizers import (
    count_steps,
    darts_adam,
    darts_sgd,
    make_cosine,
    try_optimizer,
)
from darts_lite.training.task import TaskSettings, tell_batch


class ArchitectureSearch(Search):
    """DARTS (arXiv 1806.09055, algorithm 1) with interchangeable parts.

    Each batch holds images of two disjoint halves of the training set: ``"alphas"`` updates the
    architecture parameters, then ``"weights"`` the weights.

    Args:
        space: The search space, or a function that returns one.
        in_channels: Number of channels of the images; the CLI takes it from the data.
        num_classes: Number of classes; the CLI takes it from the data.
        image_size: Side of the images, for networks that need it; the CLI takes it from the data.
        relaxation: Turns alphas into mixing weights; softmax if not given.
        regularizers: Added to the loss of the alphas, for instance `BetaDecay`.
        gradient: Computes the alphas' gradient: `FirstOrder` if not given, or `SecondOrder`.
        weights_optimizer: Makes the optimizer of the weights; its rate falls along a cosine.
        alphas_optimizer: Makes the optimizer of the alphas.
        derivation: Decides which edges and candidates to keep: `Strongest` if not given,
            `SkipLimit` or `WithinBudget`.
        warmup_epochs: Number of epochs that at first train the weights alone; see `is_warming_up`.
        final_learning_rate: End of the cosine of the weights' learning rate, as a share of it.
        gradient_clip: Largest norm of the weights' gradient.
        executor: Computes the mixed cells: ``auto`` takes the faster one by a fixed rule
            (`darts_lite.search.executors`); others are ``folded``, ``literal``, ``sampled`` for a
            relaxation that samples, or an object. They compute the same, to rounding, and
            checkpoints fit all.
        cuda_graphs: Replays each update's passes as one CUDA graph, for GPUs that wait for the
            processor; all batches need one shape.
        partial_channels: Searches on 1/k of the channels, for less time and memory (PC-DARTS).
        edge_weights: Gives each edge a parameter too, normalised over the edges of a node, which
            steadies the search on partial channels (PC-DARTS).
        auxiliary_skip: Weight at the start of a skip connection beside the candidates of each edge.
            It falls to 0, and takes from the skip connection among these the advantage of easing
            training; 1 is the published value (DARTS-), 0 leaves it out.
        task: Loss and metric of the user's, for other tasks than telling classes apart.
    """

    architecture_steps: Tensor

    def __init__(
        self,
        space: SpaceSettings,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | None = None,
        relaxation: Relaxation | None = None,
        regularizers: list[Regularizer] | None = None,
        gradient: ArchitectureGradient | None = None,
        derivation: Derivation | None = None,
        weights_optimizer: OptimizerCallable = darts_sgd,
        alphas_optimizer: OptimizerCallable = darts_adam,
        warmup_epochs: float = 0.0,
        final_learning_rate: float = 0.04,
        gradient_clip: float = 5.0,
        executor: Executor | Literal["auto", "folded", "literal", "sampled"] | None = "auto",
        partial_channels: int = 1,
        edge_weights: bool = False,
        auxiliary_skip: float = 0.0,
        cuda_graphs: bool = False,
        task: TaskSettings = None,
    ) -> None:
        data: dict[str, Any] = {"in_channels": in_channels, "num_classes": num_classes}
        known = {**data, "image_size": image_size}
        super().__init__(space, known, weights_optimizer, final_learning_rate, gradient_clip, task)
        if not warmup_epochs >= 0:
            raise ValueError(f"warmup_epochs must be at least 0, got {warmup_epochs}")
        if not 0 <= auxiliary_skip < float("inf"):
            raise ValueError(f"auxiliary_skip must be at least 0 and finite, got {auxiliary_skip}")
        try_optimizer("alphas_optimizer", alphas_optimizer)
        self.relaxation: Relaxation = build_component(relaxation, RELAXATIONS) or Softmax()
        parts: dict[str, Any] = {"partial_channels": partial_channels, "edge_weights": edge_weights}
        self.derivation = rule_from(build_component(derivation, DERIVATIONS)).with_data(**known)
        settings = {
            "space": self.space.to_dict(),
            **known,
            "warmup_epochs": warmup_epochs,
            "final_learning_rate": final_learning_rate,
            "gradient_clip": gradient_clip,
            **parts,
            "auxiliary_skip": auxiliary_skip,
            "relaxation": describe_component(self.relaxation),
            "derivation": self.derivation.describe(),
        }
        self.save_hyperparameters(settings, logger=False)
        self.regularizers = regularizers or []
        self.gradient = gradient or FirstOrder()
        self.gradient.check(try_optimizer("weights_optimizer", weights_optimizer))
        self.selected: AnyArchitecture | None = None
        self.alphas_optimizer, self.warmup_epochs = alphas_optimizer, warmup_epochs
        self.cuda_graphs = cuda_graphs
        self.supernet = Supernet(self.space, **data, **parts, auxiliary_skip=auxiliary_skip > 0)
        self.execution = Execution(self.supernet, executor, self.relaxation.samples)
        self.mixture = Mixture(self.supernet, self.relaxation, auxiliary_skip)
        self.supernet.to(memory_format=torch.channels_last)  # faster on CPUs and tensor cores
        self.register_buffer("architecture_steps", torch.zeros((), dtype=torch.long))
        for name, shares in self.shares().items():
            self.register_buffer(f"initial_shares_{name}", shares)

    def training_step(self, batch: Mapping[str, Batch], batch_index: int) -> None:
        """Takes one architecture step, after the warm-up, and then one weight step."""
        if not self.is_warming_up(self.warmup_epochs * self.trainer.num_training_batches):
            self.update_alphas(*batch["alphas"], *batch["weights"])
        self.update_weights(*batch["weights"])

    def update_alphas(
        self, images: Tensor, labels: Tensor, training_images: Tensor, training_labels: Tensor
    ) -> None:
        """Takes one step of the alphas' optimizer on images ``(B, C, H, W)`` and labels ``(B,)``.

        The training batch is the one of the next weight step, which second order looks ahead to.
        """
        parameters, training = self.mixture.parameters(), (training_images, training_labels)
        logits, loss, *gradients = self._alphas_step(images, labels, *training)
        self._log_batch("alphas", logits, labels, loss)
        for regularizer in self.regularizers:
            penalty = regularizer.penalty(dict(self.supernet.alphas.items()), self.progress)
            added = torch.autograd.grad(penalty, parameters, materialize_grads=True)
            gradients = [g + a for g, a in zip(gradients, added, strict=True)]
        norm = torch.nn.utils.get_total_norm(gradients)
        self.log("search/alphas_gradient", norm)
        if not norm.isfinite():  # it must not reach the optimizer's state
            lower_scale(self.trainer)
            return
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        # Unwrapped: a step through Lightning's wrapper would count as a global step.
        self._optimizer(1).step()
        self._optimizer(1).zero_grad()
        self.architecture_steps += 1

    def update_weights(self, images: Tensor, labels: Tensor) -> None:
        """Takes one step of the weights' optimizer on ``(B, C, H, W)`` and ``(B,)``."""
        optimizer, _ = cast(list[LightningOptimizer], self.optimizers())
        logits, loss, *gradients = self._weights_step(images, labels)
        self._log_batch("weights", logits, labels, loss)
        for weight, gradient in zip(self.supernet.weights(), gradients, strict=True):
            weight.grad = gradient if weight.requires_grad else None
        optimizer.step()
        cast(LRScheduler, self.lr_schedulers()).step()

    def alphas_gradients(
        self, images: Tensor, labels: Tensor, training_images: Tensor, training_labels: Tensor
    ) -> tuple[Tensor, ...]:
        """Computes logits, loss, and its gradient in each architecture parameter, unregularized.

        One draw of mixing weights serves all passes of the gradient.
        """
        scaler = find_scaler(self.trainer)
        scale = 1.0 if scaler is None else scaler.get_scale()
        optimizer = self._optimizer(0)
        # The gradient in the mixing weights, (rows, options) of each group, comes first.
        drawn = self.mixture.sample(self.progress)
        mixing = {name: rows.detach().requires_grad_() for name, rows in drawn.items()}
        training, validation = (
            SupernetLoss(self.supernet, *batch, mixing, list_weights(optimizer), self.loss)
            for batch in ((training_images, training_labels), (images, labels))
        )
        of_mixing = self.gradient(training, validation, list(mixing.values()), optimizer, scale)
        # The chain rule takes it through the draw to the alphas and the edges' parameters.
        gradients = torch.autograd.grad(list(drawn.values()), self.mixture.parameters(), of_mixing)
        return validation.logits, validation.value, *gradients

    def weights_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor | None, ...]:
        """Computes logits, loss, and its gradient in each weight, as Lightning scales it."""
        weights = self.supernet.weights()
        self.supernet.zero_grad()
        mixing = {name: rows.detach() for name, rows in self.mixture.sample(self.progress).items()}
        logits = self.supernet(images, mixing)
        loss = self.loss(logits, labels)
        with without_autocast(loss):
            self.manual_backward(loss)
        return logits.detach(), loss.detach(), *(weight.grad for weight in weights)

    def try_passes(self, images: Tensor, labels: Tensor, evaluating: bool) -> None:
        self.train(not evaluating)
        if evaluating:
            self.supernet(images, self.mixture.mean(self.progress))
        else:
            self.alphas_gradients(images, labels, images, labels)
            self.weights_gradients(images, labels)

    def setup(self, stage: str) -> None:
        """Chooses the executor, and tells the rule of derivation how large the images are."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        self.know_images(data)
        self.execution.choose(self.trainer, data)

    def on_fit_start(self) -> None:
        """Reads the costs of the rule, and captures the steps in CUDA graphs if it is asked for."""
        self.read_costs()
        self.selected = None  # an earlier search may have selected another architecture
        self.warn_of_warm_up(self.warmup_epochs)
        steps: tuple[Step, Step] = self.alphas_gradients, self.weights_gradients
        if self.cuda_graphs:
            possible = find_scaler(self.trainer) is None and self.mixture.deterministic
            possible &= self.device.type == "cuda" and isinstance(self.gradient, FirstOrder)
            steps = capture_graphs(steps, self.supernet.buffers, possible)
        self._alphas_step, self._weights_step = steps

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """Returns both optimizers, and the cosine of the weights' learning rate over all steps."""
        weights = self.weights_optimizer(self.supernet.weights())
        self.gradient.check(weights)
        alphas = self.alphas_optimizer(self.mixture.parameters())
        schedule = make_cosine(weights, count_steps(self.trainer), self.final_learning_rate)
        return [weights, alphas], [schedule]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        images, labels = batch
        logits = self.supernet(images, self.mixture.mean(self.progress))
        self.log_validation(logits, labels, self.loss(logits, labels))

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.measure_alphas(), sync_dist=True)

    @property
    def progress(self) -> float:
        """Share of the search that is done, 0 to 1; 1 outside of a search."""
        if self.trainer.state.fn != "fit":
            return 1.0
        return min(1.0, self.global_step / count_steps(self.trainer))

    def shares(self) -> dict[str, Tensor]:
        """Returns what ranks candidates, without a graph: group -> ``(rows, options)``."""
        return self.mixture.shares()

    def derive(self) -> AnyArchitecture:
        """Returns the selected architecture, or else the one that follows from the alphas now."""
        if self.selected is not None:
            return self.selected
        found_by = {"algorithm": self.algorithm, "architecture_steps": int(self.architecture_steps)}
        return derive(self.space, self.shares(), found_by, self.derivation)

    @property
    def algorithm(self) -> str:
        parts = ("DARTS", self.relaxation, self.gradient, *self.regularizers)
        return name_algorithm(parts, self.hparams)

    def diagnostics(self) -> dict[str, float]:
        """Returns how decided the alphas are, over all rows of all groups."""
        initial = {name: getattr(self, f"initial_shares_{name}") for name in self.space.groups}
        return diagnose(self.shares(), initial, self.space.groups)

    def measure_alphas(self) -> dict[str, float]:
        """Returns what is logged of the alphas: how decided they are, and expected costs."""
        uses = self.derivation.expect_use(self.space, self.shares())
        costs = {f"budget/{name}": float(use) for name, use in uses.items()}
        return {f"alphas/{name}": value for name, value in self.diagnostics().items()} | costs

    def votes(self) -> dict[str, Tensor]:
        """Returns the shares, or one path if something else has selected the architecture."""
        return self.shares() if self.selected is None else super().votes()

    @property
    def has_chosen(self) -> bool:
        return self.selected is not None or int(self.architecture_steps) > 0

    def describe(self) -> Iterator[str]:
        weights, alphas = map(self.results().__getitem__, ("supernet_params", "alphas"))
        yield f"Supernet:  {weights:,} parameters and {alphas:,} alphas, space {self.space.name}"
        if self.execution.has_choice:
            yield f"Executor:  {self.execution.name}"

    def doubts(self) -> Iterator[str]:
        if self.global_step < (planned := int(self.trainer.estimated_stepping_batches)):
            yield f"The search was ended after {self.global_step} of {planned} steps."
        if (drift := self.results()["drift"]) < 0.05:
            yield (
                f"Warning: after {int(self.architecture_steps)} architecture steps the shares have "
                f"moved by only {drift:.3f}: this architecture is close to a random one. "
                "Search longer, or raise the alphas' learning rate."
            )

    def results(self) -> dict[str, Any]:
        return {
            "supernet_params": sum(p.numel() for p in self.supernet.weights()),
            "alphas": sum(p.numel() for p in self.mixture.parameters()),
            "architecture_steps": int(self.architecture_steps),
            **{name: round(value, 4) for name, value in self.diagnostics().items()},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the architecture, the executor, and the settings."""
        checkpoint["architecture"] = self.derive().to_dict()
        checkpoint["selected"] = self.selected is not None
        checkpoint["executor"] = self.execution.name
        super().on_save_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the executor, and an architecture that did not follow from the shares."""
        super().on_load_checkpoint(checkpoint)
        self.execution.resume_with(str(checkpoint.get("executor")))
        if checkpoint.get("selected"):
            self.selected = build_architecture(checkpoint["architecture"])

    def _optimizer(self, position: int) -> Optimizer:
        return cast(list[Optimizer], self.optimizers(use_pl_optimizer=False))[position]

    def _log_batch(self, split: str, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        told = tell_batch(self.task, logits, labels, loss)
        shown = {f"search/{split}_{name}": figure for name, figure in told.items()}
        self.log_dict(shown, prog_bar=split == "weights")
        rate = self._optimizer(0 if split == "weights" else 1).param_groups[0]["lr"]
        self.log(f"search/{split}_learning_rate", rate)
