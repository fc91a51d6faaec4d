"""The search without gradients: evaluates one proposed architecture after another."""

import math
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from darts_lite.data.batches import Batch
from darts_lite.derivation.budget import DERIVATIONS
from darts_lite.derivation.rules import Derivation, limits_from
from darts_lite.distributed.random_state import restore_generator
from darts_lite.distributed.ranks import average
from darts_lite.networks.cells.sampled import Sampled
from darts_lite.networks.kinds import SpaceSettings
from darts_lite.networks.supernet import Supernet
from darts_lite.search.base import Search
from darts_lite.search.bilevel import without_autocast
from darts_lite.search.exploration.evaluators import Evaluator, SharedWeights
from darts_lite.search.exploration.strategies import Evolution, Strategy, explore
from darts_lite.space.groups import Point, random_point
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.space.walks import lead_within
from darts_lite.storage.components import build_component
from darts_lite.training.optimizers import (
    count_steps,
    darts_sgd,
    make_cosine,
    try_optimizer,
)
from darts_lite.training.task import TaskSettings


class Exploration(Search):
    """Searches by evaluating one architecture after another.

    An evaluator that shares weights first trains those of a supernet on uniformly drawn paths
    (SPOS, arXiv 1904.00420, section 3.1): each batch updates one random architecture. Each further
    batch of the training evaluates one architecture, until there are enough.

    Args:
        space: The search space, or a function that returns one.
        in_channels: Number of channels of the images; the CLI takes it from the data.
        num_classes: Number of classes; the CLI takes it from the data.
        image_size: Side of the images, for networks that need it; the CLI takes it from the data.
        strategy: Proposes architectures: `Evolution` if not given, `LocalSearch` or `RandomSearch`.
        evaluator: Values architectures: `SharedWeights` if not given, `FromScratch` or
            `TableLookup`.
        evaluations: Number of architectures to evaluate; the training must be long enough for them.
        derivation: Limits of what is evaluated: `WithinBudget`, or None if there are none.
        weights_optimizer: Makes the optimizer of shared weights; its rate falls along a cosine.
        final_learning_rate: End of that cosine, as a share of the learning rate.
        gradient_clip: Largest norm of the shared weights' gradient.
        task: Loss and metric of the user's, for other tasks than telling classes apart.
    """

    def __init__(
        self,
        space: SpaceSettings,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | None = None,
        strategy: Strategy | None = None,
        evaluator: Evaluator | None = None,
        evaluations: int = 100,
        derivation: Derivation | None = None,
        weights_optimizer: OptimizerCallable = darts_sgd,
        final_learning_rate: float = 0.04,
        gradient_clip: float = 5.0,
        task: TaskSettings = None,
    ) -> None:
        data = {"in_channels": in_channels, "num_classes": num_classes, "image_size": image_size}
        super().__init__(space, data, weights_optimizer, final_learning_rate, gradient_clip, task)
        if evaluations < 1:
            raise ValueError(f"evaluations must be at least 1, got {evaluations}")
        try_optimizer("weights_optimizer", weights_optimizer)
        self.derivation = limits_from(build_component(derivation, DERIVATIONS)).with_data(**data)
        settings = {
            "space": self.space.to_dict(),
            **data,
            "derivation": self.derivation.describe(),
            "evaluations": evaluations,
            "final_learning_rate": final_learning_rate,
            "gradient_clip": gradient_clip,
        }
        self.save_hyperparameters(settings, logger=False)
        self.strategy = strategy or Evolution()
        self.evaluator = evaluator or SharedWeights()
        self.evaluations = evaluations
        self.supernet = Supernet(self.space, in_channels, num_classes, Sampled())
        self.supernet.to(memory_format=torch.channels_last)
        self.known: dict[Point, float] = {}
        self.random = Random()
        self._restored = self._met_all = False
        self._explored: Iterator[tuple[Point, float]] = iter(())

    @property
    def weights_steps(self) -> int:
        """Number of batches that train shared weights before the first evaluation."""
        return round(self.evaluator.weights_epochs * self.trainer.num_training_batches)

    def on_fit_start(self) -> None:
        """Continues from a checkpoint, or starts with the run's seed."""
        if self.weights_steps >= (steps := count_steps(self.trainer)):
            raise ValueError(
                f"training shared weights takes {self.weights_steps} steps, and the search has "
                f"only {steps}; lower the evaluator's weights_epochs, or raise trainer.max_epochs"
            )
        if not self._restored:
            self.random.seed(torch.initial_seed())
        self.read_costs()
        self._explored = explore(
            self.strategy,
            self.space.sizes,
            self._evaluate,
            self.random,
            self.known,
            lambda point: self.derivation.admits(self.space, self.space.architecture(point)),
            self._lead_within,
        )

    def setup(self, stage: str) -> None:
        """Tells the rule of derivation how large the images are."""
        self.know_images(self.trainer.datamodule)  # type: ignore[attr-defined]

    def _lead_within(self, point: Point) -> Point:
        """Changes a point until it is within the limits."""
        rule, space = self.derivation, self.space

        def excess(net: AnyArchitecture) -> float:
            return 0.0 if rule.admits(space, net) else rule.excess(space, net)

        if (found := lead_within(space, point, excess, self.random)) is None:
            raise ValueError("no architecture within the limits was met; raise them")
        return found

    def training_step(self, batch: Mapping[str, Batch], batch_index: int) -> None:
        """Trains one random path, or evaluates one architecture."""
        if self.is_warming_up(self.weights_steps):
            self._train_path(*batch["weights"])
            return
        _, value = next(self._explored, (None, None))
        if value is not None:
            best = max(self.known.values())
            self.log("search/value", value)
            self.log("search/best_value", best, prog_bar=True)
            self.log("search/evaluations", float(len(self.known)), prog_bar=True)
        self._met_all = value is None
        if self._met_all or len(self.known) >= self.evaluations:
            self.trainer.should_stop = True

    def _train_path(self, images: Tensor, labels: Tensor) -> None:
        optimizer = cast(LightningOptimizer, self.optimizers())
        point = random_point(self.space.sizes, self.random)
        loss = self.loss(self.supernet(images, self._make_mixing(point)), labels)
        optimizer.zero_grad()
        with without_autocast(loss):
            self.manual_backward(loss)
        optimizer.step()
        cast(LRScheduler, self.lr_schedulers()).step()
        (joint_loss,) = average(loss.detach())
        self.log("search/weights_loss", joint_loss, prog_bar=True)

    def try_passes(self, images: Tensor, labels: Tensor, evaluating: bool) -> None:
        self.train()  # shared weights are evaluated with the statistics of the batch
        path = self._make_mixing(random_point(self.space.sizes, Random(0)))
        loss = self.loss(self.supernet(images, path), labels)
        if not evaluating:
            loss.backward()

    def _evaluate(self, point: Point) -> float:
        value = self.evaluator(self, self.space.architecture(point))
        value = self.trainer.strategy.broadcast(value)  # on GPUs ranks may differ in the last digit
        if not math.isfinite(value):
            raise ValueError(
                f"{type(self.evaluator).__name__} returned {value} for an architecture; values "
                "must be finite numbers"
            )
        return value

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """Returns the optimizer of shared weights, and the cosine of its learning rate."""
        weights = self.weights_optimizer(self.supernet.weights())
        count_steps(self.trainer)  # which also counts the batches of an epoch
        steps = max(1, self.weights_steps)
        return [weights], [make_cosine(weights, steps, self.final_learning_rate)]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Logs the best architecture's accuracy with shared weights, if these are trained."""
        if not self.known or not self.evaluator.weights_epochs:
            return
        images, labels = batch
        self.log_validation(self.supernet.train()(images, self._make_mixing(self.best)), labels)

    @property
    def best(self) -> Point:
        """The point with the largest value so far; a ValueError if nothing is evaluated yet."""
        if not self.known:
            raise ValueError(
                "no architecture was evaluated yet; give the run more epochs or minutes, or lower "
                "the evaluator's weights_epochs"
            )
        return max(self.known, key=self.known.__getitem__)

    def derive(self) -> AnyArchitecture:
        found_by = {"algorithm": self.algorithm, "evaluations": len(self.known)}
        return self.space.architecture(self.best, found_by)

    @property
    def algorithm(self) -> str:
        return f"{type(self.strategy).__name__}, {type(self.evaluator).__name__}"

    @property
    def has_chosen(self) -> bool:
        return bool(self.known)

    def describe(self) -> Iterator[str]:
        yield f"Space:     {self.space.name}, {math.prod(self.space.sizes):,} architectures"

    def doubts(self) -> Iterator[str]:
        if len(self.known) < self.evaluations:
            made = f"only {len(self.known)} of {self.evaluations} evaluations were made"
            if self._met_all:
                yield f"Warning: {made}; no other one was met within the limits; widen them."
                return
            yield (
                f"Warning: {made}; raise what ended the search, trainer.max_epochs or "
                "run.max_minutes, for the rest."
            )

    def results(self) -> dict[str, Any]:
        return {
            "supernet_params": sum(p.numel() for p in self.supernet.weights()),
            "evaluations": len(self.known),
            "best_value": self.known[self.best],
        }

    def _make_mixing(self, point: Point) -> dict[str, Tensor]:
        return self.space.path(self.space.architecture(point), self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the state of the search, and the settings as plain values."""
        checkpoint["exploration"] = {
            "known": [[list(point), value] for point, value in self.known.items()],
            "strategy": self.strategy.state(),
            "random": self.random.getstate(),
        }
        if self.known:
            checkpoint["architecture"] = self.derive().to_dict()
        super().on_save_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._restored = True
        state = checkpoint["exploration"]
        self.known.clear()
        self.known.update({tuple(point): value for point, value in state["known"]})
        self.strategy.restore(state["strategy"])
        restore_generator(self.random, state["random"])
