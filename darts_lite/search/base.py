"""The base class of all searches: trains a supernet's weights and hands on an architecture."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric, Metric

from darts_lite.data.split_data import check_inputs
from darts_lite.derivation.rules import Rule, Strongest
from darts_lite.distributed.ranks import average_gradients
from darts_lite.networks.kinds import SpaceSettings, read_space
from darts_lite.networks.supernet import Supernet
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.checkpoints import complete_checkpoint
from darts_lite.training.callbacks import read_spent_time
from darts_lite.training.optimizers import check_rates, count_steps
from darts_lite.training.task import Goal, TaskSettings, measure, read_task, update
from darts_lite.training.trainer_settings import check_trainer


class Search(LightningModule):
    """Searches a space with a supernet; subclasses decide how.

    Attributes:
        gradient_clip: Largest norm of the gradient in the supernet's weights.
        paired_batches: Asks the data for pairs of batches, ``weights`` and ``alphas``.
    """

    paired_batches = True
    supernet: Supernet
    loss: nn.Module
    metric: Metric
    derivation: Rule = Strongest()

    def __init__(
        self,
        space: SpaceSettings,
        data: Mapping[str, int | None],
        weights_optimizer: OptimizerCallable,
        final_learning_rate: float,
        gradient_clip: float,
        task: TaskSettings = None,
        loss: nn.Module | None = None,
    ) -> None:
        super().__init__()
        check_rates(final_learning_rate, gradient_clip)
        self.space = read_space(space).with_data(**data)
        self.automatic_optimization = False
        self.weights_optimizer, self.final_learning_rate = weights_optimizer, final_learning_rate
        self.gradient_clip = gradient_clip
        self.task = read_task(task)
        self.save_hyperparameters({"task": self.task and self.task.to_dict()}, logger=False)
        self.mean_loss = MeanMetric()  # over all ranks, which may have unlike numbers of items
        self.loss, self.metric, self.score = Goal.of(self.task, data["num_classes"] or 0, loss)

    def weights(self) -> list[nn.Parameter]:
        """Returns the weights that the search trains."""
        return self.supernet.weights()

    @property
    @abstractmethod
    def algorithm(self) -> str:
        """A short name for reports."""

    @abstractmethod
    def derive(self) -> AnyArchitecture:
        """Returns the best architecture that the search knows now."""

    @abstractmethod
    def results(self) -> dict[str, Any]:
        """Returns the search's entries in the summary of a run."""

    @property
    @abstractmethod
    def has_chosen(self) -> bool:
        """True once something has told architectures apart; before, `derive` gives any one."""

    @abstractmethod
    def describe(self) -> Iterator[str]:
        """Yields what a run prints at its start."""

    @abstractmethod
    def try_passes(self, images: Tensor, labels: Tensor, evaluating: bool) -> None:
        """Runs the passes of a step, or of an evaluation, and discards their results."""

    def doubts(self) -> Iterator[str]:
        """Yields reasons to doubt the architecture, once the search has ended."""
        yield from ()

    def votes(self) -> dict[str, Tensor]:
        """Returns the search's votes in a consensus: group -> ``(rows, options)``."""
        return self.space.votes(self.derive())

    def read_costs(self) -> None:
        """Puts costs that the rule of derivation reads from a file into it."""
        if self.trainer.is_global_zero:
            self.derivation = self.derivation.with_costs(self.space)
        self.trainer.strategy.barrier()  # the other ranks read what the first one has measured
        self.derivation = self.derivation.with_costs(self.space)
        self.hparams["derivation"] = self.derivation.describe()

    def is_warming_up(self, steps: float) -> bool:
        """Returns whether the training is in its first `steps`, which choose no architecture.

        If these would be all steps, they are half of them. A limit in time shortens them: they end
        with their share of it, or with half of it where that is more.
        """
        total = count_steps(self.trainer)
        steps = steps if steps < total else total // 2
        if self.global_step >= steps:
            return False
        if (spent := read_spent_time(self.trainer)) is None:
            return True
        return not self.trainer.strategy.broadcast(spent >= max(steps / total, 0.5))

    def value(self, answers: Tensor, targets: Tensor) -> float:
        """Returns how good answers ``(N, …)`` are; larger is better."""
        return self.score.sign * measure(self.metric, answers, targets)

    def log_validation(self, answers: Tensor, targets: Tensor, loss: Tensor | None = None) -> None:
        """Logs the metric of a batch of validation, and its loss if that is known."""
        if loss is not None:
            self.mean_loss.update(loss, len(targets))
            self.log("search/validation_loss", self.mean_loss, batch_size=len(targets))
        update(self.metric, answers, targets)
        name = f"search/validation_{self.score.word}"
        self.log(name, self.metric, prog_bar=True, batch_size=len(targets))

    def warn_of_warm_up(self, epochs: float) -> None:
        """Warns of a warm-up that would take the whole search; see `is_warming_up`."""
        total = count_steps(self.trainer)
        if epochs * self.trainer.num_training_batches >= total and self.trainer.is_global_zero:
            print(
                f"Warning: model.warmup_epochs is {epochs}, which are all {total} steps of the "
                "search; the alphas move after half of them instead",
                flush=True,
            )

    def know_images(self, data: Any) -> None:
        """Tells the rule of derivation the images' size, if the data module has an `image_size`.

        Raises ValueError if the space makes nets for other inputs; see `check_inputs`.
        """
        check_inputs(data, self.space.axes)
        if (size := getattr(data, "image_size", None)) is not None:
            self.derivation = self.derivation.with_data(image_size=size)
            self.hparams["derivation"] = self.derivation.describe()

    def configure_callbacks(self) -> list[Callback]:
        """Checks the trainer before Lightning does, in other words; there are no callbacks."""
        check_trainer(self.trainer)
        return []

    def on_after_backward(self) -> None:
        """Averages the gradients over all ranks, if there are several."""
        average_gradients(self.weights())

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips the weights' gradient; Lightning calls this after unscaling."""
        norm = torch.nn.utils.clip_grad_norm_(self.weights(), self.gradient_clip)
        self.log("search/weights_gradient", norm)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the costs that the search began with, whatever has become of their file."""
        if kept := checkpoint["model"]["init_args"]["derivation"]:
            self.derivation = self.derivation.with_costs_of(kept)
            self.hparams["derivation"] = self.derivation.describe()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the model's and the data's settings, as plain values."""
        own = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("darts_lite."))
        complete_checkpoint(checkpoint, self, own, self.hparams)


def name_algorithm(parts: Iterable[Any], settings: Mapping[str, Any]) -> str:
    """Returns a search's short name: its parts by name or class, and its unusual settings."""
    names = [part if isinstance(part, str) else type(part).__name__ for part in parts]
    names += [
        f"{name} {settings[name]}"
        for name, default in (("partial_channels", 1), ("edge_weights", False))
        if settings[name] != default
    ]
    names += ["auxiliary_skip"] if settings["auxiliary_skip"] > 0 else []
    return ", ".join(names)


def list_cuda_devices(module: LightningModule) -> list[torch.device]:
    """Returns the module's GPU, whose random generator `fork_rng` must keep; empty on a CPU."""
    return [module.device] if module.device.type == "cuda" else []
