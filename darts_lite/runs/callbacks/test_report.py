"""Reports how good a tested net is, beyond the share of right answers."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassCalibrationError, MulticlassConfusionMatrix

from darts_lite.data.class_balance import compute_balanced_accuracy, name_classes
from darts_lite.derivation.costs import latency
from darts_lite.distributed.ranks import gather
from darts_lite.plots.predictions import ARROW, Answered, draw_answers, draw_confusion, worst
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.architecture_board import tensorboard

WORST = 100
"""Largest number of wrong answers that are kept, those with the largest losses."""
MOST_SHOWN = 100
"""Largest number of classes whose confusions are kept: their number is that of classes squared."""
BATCHES = (1, 256)
"""Batch sizes of which latencies are measured, as far as the test has batches of that size."""


class TestReport(Callback):
    """Collects confusions, calibration, worst answers and latencies of a test.

    Of a task of the user's it collects latencies alone.

    The calibration error is the mean difference of confidence and accuracy over 15 equal steps of
    confidence (Guo et al., arXiv 1706.04599, equation 3).

    Attributes:
        results: Entries of a summary, once a test has ended.
        answers: The wrong answers with the largest losses, largest first.
    """

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.answers: list[Answered] = []

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tells_classes = getattr(pl_module, "task", None) is None
        self._asked = 0
        self.answers, self._largest = [], 0
        self._image: Tensor | None = None
        if not self._tells_classes:
            return
        classes = pl_module.hparams["num_classes"]
        self._confusion = MulticlassConfusionMatrix(classes).to(pl_module.device)
        self._calibration = MulticlassCalibrationError(classes, 15).to(pl_module.device)
        self._names = getattr(getattr(trainer, "datamodule", None), "class_names", None)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Adds the answers to a batch: logits ``(B, classes)``."""
        (images, labels), logits = batch, outputs.float()
        self._largest = max(self._largest, len(labels))
        self._asked += len(labels)
        if self._image is None:
            self._image = images[0].clone()  # its batch may go
        if not self._tells_classes:
            return
        predicted, probabilities = logits.argmax(dim=1), logits.softmax(dim=1)
        self._confusion.update(predicted, labels)
        self._calibration.update(probabilities, labels)
        losses = cross_entropy(logits, labels, reduction="none")
        sure = probabilities.amax(dim=1)
        wrong = (predicted != labels).nonzero().flatten()
        for index in wrong[losses[wrong].topk(min(WORST, len(wrong))).indices].tolist():
            answer = (int(labels[index]), int(predicted[index]), float(losses[index]))
            self.answers.append(Answered(images[index].cpu(), *answer, float(sure[index])))
        self.answers = worst(self.answers, WORST)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Computes the results of all ranks, and shows them in TensorBoard."""
        if not self._tells_classes:
            self.results = {
                "test_images": sum(gather(self._asked)),
                **self._measure_latencies(pl_module),
            }
            return
        self.answers = worst(sum(gather(self.answers), []), WORST)
        counts = self._confusion.compute().cpu()  # (classes, predictions)
        calibration = float(self._calibration.compute())
        pl_module.log("test/calibration_error", calibration, sync_dist=True)
        asked = counts.sum(dim=1).tolist()  # images of each class
        right = counts.diagonal().tolist()
        self._right = sum(right)
        names = name_classes(self._names, len(asked))
        exact = {
            name: hits / count if count else None
            for name, hits, count in zip(names, right, asked, strict=True)
        }
        recalls = {name: share and round(share, 4) for name, share in exact.items()}
        balanced = compute_balanced_accuracy(exact)
        if balanced is not None:
            pl_module.log("test/balanced_accuracy", balanced, sync_dist=True)
        self.results = {
            "test_images": sum(asked),
            "balanced_accuracy": None if balanced is None else round(balanced, 5),
            "class_recalls": recalls,
            "untested_classes": [name for name, recall in recalls.items() if recall is None],
            "class_accuracies": [*recalls.values()],  # as in earlier versions, by label
            "calibration_error": round(calibration, 5),
            "confusion": counts.tolist() if len(counts) <= MOST_SHOWN else None,
            **self._measure_latencies(pl_module),
        }
        if (writer := tensorboard(trainer)) is not None:
            if len(counts) <= MOST_SHOWN:
                writer.add_figure("test/confusion", draw_confusion(counts, self._names))
            writer.add_figure("test/worst", self.draw())

    def draw(self) -> Figure:
        """Draws the worst answers, as far as any are wrong."""
        asked, shown = self.results["test_images"], len(self.answers)
        wrong = asked - self._right
        if not wrong:
            title = f"All {asked:,} answers are right"
        else:
            some = "" if shown == wrong else f", the {shown} with the largest losses"
            title = f"{wrong:,} of {asked:,} are wrong{some}:  true class {ARROW} taken for"
        return draw_answers(self.answers, title, self._names)

    def _measure_latencies(self, module: LightningModule) -> dict[str, float]:
        if not isinstance(module, Retraining) or (image := self._image) is None:
            return {}
        found = {}
        for size in (size for size in BATCHES if size <= self._largest):
            images = image.expand(size, *image.shape).contiguous(memory_format=torch.channels_last)
            milliseconds = latency(module, images) / size
            found[f"milliseconds_per_image_in_batches_of_{size}"] = round(milliseconds, 4)
        return found
