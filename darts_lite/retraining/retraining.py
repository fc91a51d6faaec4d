"""Trains and tests a discrete network."""

import math
from dataclasses import asdict, replace
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torch.optim import Optimizer
from torchmetrics import MeanMetric, Metric

from darts_lite.data.batches import Batch
from darts_lite.data.split_data import SplitData, check_inputs
from darts_lite.distributed.ranks import WHOLE, average_gradients
from darts_lite.networks.net import Net
from darts_lite.retraining.familiarity import NAME, Familiarity
from darts_lite.retraining.from_search import FoundArchitecture
from darts_lite.retraining.recipe import (
    SCHEDULES,
    Recipe,
    average_over_shifts,
    compute_side,
    make_exponential_average,
    mix_up,
)
from darts_lite.retraining.whole_numbers import check_rounding, is_rounded, pass_rounded
from darts_lite.search.bilevel import list_weights
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.checkpoints import complete_checkpoint
from darts_lite.training.class_loss import ClassLoss, ClassWeights, weigh_classes
from darts_lite.training.optimizers import count_steps, darts_sgd, try_optimizer
from darts_lite.training.task import Goal, TaskSettings, read_task, tell_batch, update
from darts_lite.training.trainer_settings import check_trainer


class Retraining(LightningModule):
    """Trains the net of an architecture from scratch or from a supernet's weights, and tests it.

    Args:
        architecture: Name of a published architecture, path of an architecture file or of a search
            checkpoint, a `darts_lite.Architecture`, or its content as plain values.
        in_channels: Number of channels of the images; the CLI takes it from the data.
        num_classes: Number of classes; the CLI takes it from the data.
        max_epochs: Number of epochs if ``trainer.max_epochs`` does not set it, as after a search.
        optimizer: Makes the optimizer.
        schedule: Course of the learning rate over all steps. ``one_cycle`` also varies the
            optimizer's momentum, or its first beta, between 0.95 and 0.85, if it has one.
        label_smoothing: Share of the target that is spread over all classes alike.
        mixup: Parameter of the Beta distribution of the shares in which pairs of images are mixed;
            0 mixes nothing.
        smallest_side: Share of the images' side at the start; it grows to 1 during the first half
            of the training.
        test_shifts: Number of pixels by which images are shifted. The mean of nine answers is
            tested, predicted and, in the last epoch, validated; 0 takes the net's own answer.
        drop_path: Probability of dropping a branch at the end of training; it grows from 0.
        ema_decay: Decay of the averaged weights that are validated and kept; 0 averages nothing.
        auxiliary_weight: Weight of the auxiliary head's loss; 0 builds no such head.
        gradient_clip: Largest norm of the gradient; 0 sets no limit.
        class_weights: ``balanced`` weighs each image in the loss by the inverse of its class' share
            of the training images; null weighs all alike. What is reported is never weighted.
        quantize: Rounds weights and maps of a chain as its int8 file will, in the last fifth of the
            steps, or at least in the last epoch.
        inherit: Starts from the supernet's weights; `architecture` is then a search checkpoint.
        channels: Channels of the first cell, if not those of the architecture.
        cells: Number of cells, likewise.
        reductions: Places of the cells that halve the map, likewise.
        stem: Name of the stem, likewise.
        task: Loss and metric of the user's, for other tasks than telling classes apart.
    """

    loss: nn.Module
    metric: Metric

    def __init__(
        self,
        architecture: str | dict[str, Any] | AnyArchitecture,
        in_channels: int = 1,
        num_classes: int = 10,
        max_epochs: int = 20,
        optimizer: OptimizerCallable = darts_sgd,
        schedule: Literal["one_cycle", "cosine", "warm_cosine"] = "cosine",
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        smallest_side: float = 1.0,
        test_shifts: int = 0,
        drop_path: float = 0.0,
        ema_decay: float = 0.0,
        auxiliary_weight: float = 0.0,
        gradient_clip: float = 5.0,
        class_weights: ClassWeights = None,
        quantize: bool = False,
        inherit: bool = False,
        channels: int | None = None,
        cells: int | None = None,
        reductions: tuple[int, ...] | None = None,
        stem: str | None = None,
        task: TaskSettings = None,
    ) -> None:
        super().__init__()
        self.recipe = Recipe(
            max_epochs=max_epochs,
            schedule=schedule,
            label_smoothing=label_smoothing,
            mixup=mixup,
            smallest_side=smallest_side,
            test_shifts=test_shifts,
            drop_path=drop_path,
            ema_decay=ema_decay,
            auxiliary_weight=auxiliary_weight,
            gradient_clip=gradient_clip,
            class_weights=class_weights,
            quantize=quantize,
        )
        try_optimizer("optimizer", optimizer)
        found = FoundArchitecture.of(architecture)
        skeleton = {"channels": channels, "cells": cells, "reductions": reductions, "stem": stem}
        self.architecture = found.architecture.in_skeleton(skeleton)
        data = {"in_channels": in_channels, "num_classes": num_classes}
        self.task = read_task(task)
        if self.task is not None:
            self.recipe.check_task()
        values = {"architecture": self.architecture.to_dict(), **data, **asdict(self.recipe)}
        values["task"] = self.task and self.task.to_dict()
        self.save_hyperparameters(values, logger=False)
        self.max_epochs = max_epochs
        self.optimizer = optimizer
        self.net = self._build_net(found if inherit else None)
        self.familiarity: Familiarity | None = None
        loss = ClassLoss(num_classes, class_weights, label_smoothing)
        self.mean_loss = MeanMetric()  # over all ranks, which may have unlike numbers of items
        self.loss, self.metric, self.score = Goal.of(self.task, num_classes, loss)

    def _build_net(self, inherited: FoundArchitecture | None) -> Net:
        """Builds the net, with the weights of a search if there is one; refuses wrong settings."""
        sizes = self.hparams["in_channels"], self.hparams["num_classes"]
        net = Net(self.architecture, *sizes, self.recipe.auxiliary_weight > 0)
        net.set_drop_path(self.recipe.drop_path)
        if self.recipe.quantize:
            check_rounding(net)
        if inherited is not None:
            net.inherit(inherited.supernet())
        return net.to(memory_format=torch.channels_last)  # faster on CPUs and tensor cores

    def forward(self, images: Tensor) -> Tensor:
        """Maps normalised images ``(B, C, H, W)`` to the answer's logits ``(B, classes)``."""
        if self.recipe.test_shifts == 0:
            return self.net(images)
        return average_over_shifts(self.net, images, self.recipe.test_shifts)

    def setup(self, stage: str) -> None:
        """Weighs the classes by the images that there are; a training that goes on restores it.

        Raises ValueError if the net is for other inputs; see `check_inputs`.
        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        check_inputs(data, self.architecture.axes)
        if stage == "fit":
            weigh_classes(self.loss, data)

    def on_train_start(self) -> None:
        """Sets the drop-path probability if training resumes in the middle of an epoch."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Raises the drop-path probability linearly over the epochs, as DARTS does."""
        steps = self.current_epoch * self.trainer.num_training_batches
        self.net.set_drop_path(self.recipe.drop_path * steps / count_steps(self.trainer))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Computes the loss of a batch ``(B, C, H, W)``, ``(B,)``."""
        images, labels = batch
        targets = labels  # classes (B,), or their probabilities (B, classes) after mixing
        step, steps = self.global_step, count_steps(self.trainer)
        side = compute_side(step / steps, self.recipe.smallest_side, images.shape[-1])
        if side < images.shape[-1]:
            size = min(side, images.shape[-2]), side  # the height of signals is 1
            images = interpolate(images, size=size, mode="bilinear", antialias=True)
        if self.recipe.mixup:
            images, targets = mix_up(images, labels, self.hparams["num_classes"], self.recipe.mixup)
        last = is_rounded(step, steps, int(self.trainer.num_training_batches))
        logits, auxiliary = self._pass(images, self.recipe.quantize and last)
        loss = self.loss(logits, targets)
        for name, figure in tell_batch(self.task, logits, labels, loss).items():
            self.log(f"retraining/train_{name}", figure, prog_bar=True)
        rate = cast(Optimizer, self.optimizers()).param_groups[0]["lr"]
        self.log("retraining/learning_rate", rate)
        if auxiliary is not None:
            loss = loss + self.recipe.auxiliary_weight * self.loss(auxiliary, targets)
        return loss

    def on_train_end(self) -> None:
        """Measures which images are of the kind of its training images."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if self.task is None and isinstance(data, SplitData):
            validation = replace(data.val_dataloader(), part=WHOLE)  # alike on every rank
            self.familiarity = Familiarity.measure(self.net, data.alphas_dataloader(), validation)

    def try_passes(self, images: Tensor, labels: Tensor, evaluating: bool) -> None:
        """Runs the passes of a step, or of an evaluation, and discards their results."""
        self.train(not evaluating)
        if evaluating:
            self(images)
            return
        self.net.zero_grad()
        logits, auxiliary = self._pass(images, self.recipe.quantize)
        loss = self.loss(logits, labels)
        (loss if auxiliary is None else loss + self.loss(auxiliary, labels)).backward()

    def _pass(self, images: Tensor, rounded: bool) -> tuple[Tensor, Tensor | None]:
        """Computes logits and those of the auxiliary head; as the int8 file does if `rounded`."""
        return pass_rounded(self.net, images) if rounded else self.net.forward_auxiliary(images)

    def on_after_backward(self) -> None:
        """Averages the gradients over all ranks, if there are several."""
        average_gradients(self.net.parameters())

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Logs loss and accuracy on the validation split.

        Before the last epoch they are those of the net without shifts: nine answers would cost as
        much as a third of the training each time.
        """
        trainer = self.trainer
        ended = self.current_epoch + 1 >= (trainer.max_epochs or 0) or trainer.should_stop
        ended |= 0 <= trainer.max_steps <= trainer.global_step
        answer = self if ended or trainer.state.fn != "fit" else self.net
        self._evaluate(answer, batch, "retraining/validation_")

    def test_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Logs loss and accuracy on the test set; returns the logits ``(B, classes)``."""
        return self._evaluate(self, batch, "test/")

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor | tuple[Tensor, Tensor]:
        """Returns the most probable classes and their probabilities, each ``(B,)``.

        For a task of the user's these are the answers ``(B, …)``.
        """
        if self.task is not None:
            return cast(Tensor, self(batch[0]))
        probabilities, classes = self(batch[0]).softmax(dim=1).max(dim=1)
        return classes, probabilities

    def configure_optimizers(self) -> Any:
        """Returns the optimizer, and the schedule, which is stepped after every batch."""
        optimizer = self.optimizer(self.net.parameters())
        schedule = SCHEDULES[self.recipe.schedule](optimizer, count_steps(self.trainer))
        scheduler = {"scheduler": schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: Any, **__: Any) -> None:
        """Clips by the module's `gradient_clip`, not by the trainer's setting."""
        limit = self.recipe.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(list_weights(optimizer), limit)
        self.log("retraining/gradient", norm)

    def configure_callbacks(self) -> list[Callback]:
        """Checks the trainer; returns the callback that averages the weights, if it is wanted."""
        check_trainer(self.trainer)
        if self.recipe.ema_decay == 0:
            return []
        return [WeightAveraging(multi_avg_fn=make_exponential_average(self.recipe.ema_decay))]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the model's and the data's settings, as plain values."""
        complete_checkpoint(checkpoint, self, Retraining, self.hparams)
        if self.familiarity is not None:
            checkpoint[NAME] = self.familiarity.to_dict()

    def _evaluate(self, answer: nn.Module, batch: Batch, prefix: str) -> Tensor:
        images, labels = batch
        logits = answer(images)
        update(self.metric, logits, labels)
        compute = cross_entropy if self.task is None else self.loss  # what is told is not weighted
        size = len(labels)
        self.mean_loss.update(compute(logits, labels), size)
        self.log(f"{prefix}loss", self.mean_loss, batch_size=size)
        self.log(f"{prefix}{self.score.word}", self.metric, prog_bar=True, batch_size=size)
        return logits
