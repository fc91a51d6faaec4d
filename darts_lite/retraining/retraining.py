"""The LightningModule that trains a discrete network."""

import math
from dataclasses import asdict
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torch.optim import Optimizer
from torchmetrics.classification import MulticlassAccuracy

from darts_lite.data.batches import Batch
from darts_lite.distributed.ranks import average_gradients, averaged
from darts_lite.networks.net import Net
from darts_lite.retraining.from_search import _supernet_of, resolve_architecture
from darts_lite.retraining.recipe import (
    SCHEDULES,
    Recipe,
    exponential_average,
    mean_of_shifts,
    mixed_up,
    side_at,
)
from darts_lite.search.bilevel import weights_of
from darts_lite.space.architecture import Architecture
from darts_lite.storage.checkpoints import describe_data
from darts_lite.storage.components import class_path
from darts_lite.training.optimizers import darts_sgd, total_steps, try_optimizer


class Retraining(LightningModule):
    """Trains the net of an architecture from scratch or from a supernet's weights, and tests it.

    Args:
        architecture: A published architecture's name, the path of an architecture file or of a
            search checkpoint, an `Architecture`, or its content as plain values.
        in_channels: Channels of the images; the CLI takes it from the data.
        num_classes: Number of classes; the CLI takes it from the data.
        max_epochs: How long to train where ``trainer.max_epochs`` does not say it, as after a
            search.
        optimizer: Makes the optimizer.
        schedule: Course of the learning rate over all steps; that of ``one_cycle`` turns the
            optimizer's momentum, or its first beta, between 0.95 and 0.85, where it has one.
        label_smoothing: Share of the target given to all classes alike.
        mixup: Parameter of the Beta distribution of shares in which pairs of images are mixed; 0
            for none.
        smallest_side: Share of the images' side to begin with; it grows to 1 by half of the
            training.
        test_shifts: How many pixels images are shifted for the mean of nine answers that is
            tested, predicted and, in the last epoch, validated; 0 for the net's own answer.
        drop_path: Probability of dropping a branch at the end of training; it grows from 0.
        ema_decay: Decay of the averaged weights that are validated and kept; 0 for none.
        auxiliary_weight: Weight of the auxiliary head's loss; 0 for no such head.
        gradient_clip: Largest norm of the gradient; 0 for any.
        inherit: Start from the supernet's weights; `architecture` is then a search checkpoint.
        channels, cells, reductions, stem: Override the architecture's skeleton.

    Raises:
        ValueError: if a value is out of range or they do not go together.
        FileNotFoundError: if the architecture is no name and no file.
    """

    def __init__(
        self,
        architecture: str | dict[str, Any] | Architecture,
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
        inherit: bool = False,
        channels: int | None = None,
        cells: int | None = None,
        reductions: tuple[int, ...] | None = None,
        stem: str | None = None,
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
        )
        try_optimizer("optimizer", optimizer)
        found = resolve_architecture(architecture)
        self.architecture = found.with_skeleton(channels, cells, reductions, stem)
        data = {"in_channels": in_channels, "num_classes": num_classes}
        values = {"architecture": self.architecture.to_dict(), **data, **asdict(self.recipe)}
        self.save_hyperparameters(values, logger=False)
        self.max_epochs = max_epochs
        self.optimizer = optimizer
        self.net = Net(self.architecture, in_channels, num_classes, auxiliary_weight > 0)
        if inherit:
            self.net.inherit(_supernet_of(architecture))
        self.net.to(memory_format=torch.channels_last)  # faster on CPUs and tensor cores
        self.accuracy = MulticlassAccuracy(num_classes, average="micro")

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images ``(B, C, H, W)`` -> the answer's logits ``(B, classes)``."""
        if self.recipe.test_shifts == 0:
            return self.net(images)
        return mean_of_shifts(self.net, images, self.recipe.test_shifts)

    def on_train_start(self) -> None:
        """Sets the drop-path probability where training goes on in the middle of an epoch."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Raises the drop-path probability linearly over the epochs, as DARTS does."""
        steps = self.current_epoch * self.trainer.num_training_batches
        self.net.set_drop_path(self.recipe.drop_path * steps / total_steps(self.trainer))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of a batch ``(B, C, H, W)``, ``(B,)``."""
        images, labels = batch
        targets = labels
        if (side := self._side(images)) < images.shape[-1]:
            images = interpolate(images, size=(side, side), mode="bilinear", antialias=True)
        if self.recipe.mixup:
            images, targets = mixed_up(
                images, labels, self.hparams["num_classes"], self.recipe.mixup
            )
        logits, auxiliary = self.net.forward_auxiliary(images)
        loss = cross_entropy(logits, targets, label_smoothing=self.recipe.label_smoothing)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        shown = averaged(loss.detach(), accuracy)
        self.log("retraining/train_loss", shown[0], prog_bar=True)
        self.log("retraining/train_accuracy", shown[1], prog_bar=True)
        self.log("retraining/learning_rate", self._learning_rate())
        if auxiliary is not None:
            loss = loss + self.recipe.auxiliary_weight * cross_entropy(
                auxiliary, targets, label_smoothing=self.recipe.label_smoothing
            )
        return loss

    def on_after_backward(self) -> None:
        """The gradients of the joint batch, where several processes train together."""
        average_gradients(self.net.parameters())

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and accuracy on the validation split, before the last epoch of the net alone.

        A mean over shifts, where wanted, would cost as much as a third of the training each time.
        """
        epochs = self.trainer.max_epochs or 0
        watching = self.trainer.state.fn == "fit" and self.current_epoch + 1 < epochs
        answer = self.net if watching else self
        names = "retraining/validation_loss", "retraining/validation_accuracy"
        self._evaluate(answer, batch, *names)

    def test_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss and accuracy on the test set; the logits ``(B, classes)`` for whoever looks on."""
        return self._evaluate(self, batch, "test/loss", "test/accuracy")

    def predict_step(self, batch: Batch, batch_index: int) -> tuple[Tensor, Tensor]:
        """Most probable class and its probability, each ``(B,)``."""
        probabilities, classes = self(batch[0]).softmax(dim=1).max(dim=1)
        return classes, probabilities

    def configure_optimizers(self) -> Any:
        """The optimizer, and the schedule stepped after every batch."""
        optimizer = self.optimizer(self.net.parameters())
        schedule = SCHEDULES[self.recipe.schedule](optimizer, total_steps(self.trainer))
        scheduler = {"scheduler": schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by the module's own `gradient_clip`."""
        limit = self.recipe.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(weights_of(optimizer), limit)
        self.log("retraining/gradient", norm)

    def configure_callbacks(self) -> list[Callback]:
        """The averaging of the weights, where it is asked for."""
        if self.recipe.ema_decay == 0:
            return []
        return [WeightAveraging(multi_avg_fn=exponential_average(self.recipe.ema_decay))]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what `test` needs: the model's and the data's settings as plain values."""
        checkpoint["model"] = {
            "class_path": class_path(Retraining),
            "init_args": dict(self.hparams),
        }
        checkpoint |= describe_data(self)

    def _learning_rate(self) -> float:
        return cast(Optimizer, self.optimizers()).param_groups[0]["lr"]

    def _side(self, images: Tensor) -> int:
        progress = self.global_step / total_steps(self.trainer)
        return side_at(progress, self.recipe.smallest_side, images.shape[-1])

    def _evaluate(
        self, answer: nn.Module, batch: Batch, loss_name: str, accuracy_name: str
    ) -> Tensor:
        images, labels = batch
        logits = answer(images)
        self.accuracy(logits, labels)
        loss, size = cross_entropy(logits, labels), len(labels)
        self.log(loss_name, loss, batch_size=size, sync_dist=True)
        self.log(accuracy_name, self.accuracy, prog_bar=True, batch_size=size)
        return logits
