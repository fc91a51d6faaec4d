"""What a test tells beside its accuracy, on real digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import SMALL, quiet_trainer
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import stages
from darts_lite.runs.callbacks.test_report import WORST
from darts_lite.runs.callbacks.test_report import TestReport as Report  # pytest takes Test*
from darts_lite.storage.run_folder import RunFolder
from darts_lite.training.callbacks import find_callback
from darts_lite.training.checkpointing import AtomicCheckpointIO


@pytest.fixture
def model() -> Retraining:
    torch.manual_seed(0)
    return Retraining(SMALL.first_architecture())


def test_a_part_of_the_test_set_is_told_as_one(model: Retraining, digits: ImageData) -> None:
    report = Report()
    digits.hparams["evaluation_batch_size"] = 4  # 0, 1, 2, 3
    quiet_trainer(callbacks=[report], limit_test_batches=1).test(
        model, datamodule=digits, verbose=False
    )
    assert report.results["test_images"] == 4 and digits.split_sizes["test"] == 1000
    told = report.results["class_accuracies"]
    assert None not in told[:4] and told[4:] == [None] * 6
    assert report.results["class_recalls"] == dict(zip("0123456789", told, strict=True))
    assert report.results["balanced_accuracy"] == pytest.approx(sum(told[:4]) / 4)


def test_what_is_told_is_what_the_logits_say(model: Retraining, digits: ImageData) -> None:
    report = Report()
    digits.hparams["evaluation_batch_size"] = 300  # the last batch is smaller
    run = quiet_trainer(callbacks=[report])
    assert find_callback(run, Report) is report
    (metrics,) = run.test(model, datamodule=digits, verbose=False)
    with torch.no_grad():
        parts = [(model.eval()(x), x, y) for x, y in digits.test_dataloader()]
    logits, images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    predicted, losses = logits.argmax(dim=1), cross_entropy(logits, labels, reduction="none")
    counts = torch.zeros(10, 10, dtype=torch.long)
    for label, prediction in zip(labels, predicted, strict=True):
        counts[label, prediction] += 1
    told = report.results
    assert told["confusion"] == counts.tolist()
    right = [round(float((predicted[labels == n] == n).float().mean()), 4) for n in range(10)]
    assert told["class_accuracies"] == [*told["class_recalls"].values()] == right
    assert told["balanced_accuracy"] == pytest.approx(sum(right) / 10, abs=1e-4)
    assert metrics["test/balanced_accuracy"] == pytest.approx(told["balanced_accuracy"], abs=1e-5)
    confidence, error = logits.softmax(dim=1).max(dim=1).values, 0.0
    for step in range(15):
        inside = (confidence > step / 15) & (confidence <= (step + 1) / 15)
        if inside.any():
            gap = (predicted == labels)[inside].float().mean() - confidence[inside].mean()
            error += float(gap.abs() * inside.float().mean())
    assert told["calibration_error"] == pytest.approx(error, abs=1e-4)
    assert metrics["test/calibration_error"] == pytest.approx(error, abs=1e-4)
    wrong = losses.where(predicted != labels, -1)
    order = wrong.argsort(descending=True)[:WORST]
    assert int((predicted != labels).sum()) > WORST
    assert [a.loss for a in report.answers] == pytest.approx(losses[order].tolist())
    first = report.answers[0]
    assert torch.equal(first.image, images[order[0]])
    assert (first.label, first.predicted) == (int(labels[order[0]]), int(predicted[order[0]]))
    assert first.probability == pytest.approx(float(confidence[order[0]]))
    for size in (1, 256):
        assert told[f"milliseconds_per_image_in_batches_of_{size}"] > 0


class Knowing(Retraining):
    """Knows every class, but takes the first images of a batch for the next class."""

    wrong = 0

    def test_step(self, batch: Any, batch_idx: int) -> Tensor:
        _, labels = batch
        mistaken = torch.arange(len(labels)) < self.wrong
        return 9.0 * one_hot((labels + mistaken) % 10, 10)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (0, "All 300 answers are right"),
        (3, "3 of 300 are wrong:"),
        (120, "120 of 300 are wrong, the 100 with the largest losses:"),
    ],
)
def test_only_wrong_answers_are_drawn(wrong: int, told: str, digits: ImageData) -> None:
    report, model = Report(), Knowing(SMALL.first_architecture())
    model.wrong, digits.hparams["evaluation_batch_size"] = wrong, 300
    trainer = quiet_trainer(callbacks=[report], limit_test_batches=1)
    trainer.test(model, datamodule=digits, verbose=False)
    (axes,) = report.draw().axes
    assert len(axes.images) == min(wrong, WORST)
    assert axes.texts[-1].get_text().startswith(told)
    assert report.results["milliseconds_per_image_in_batches_of_1"] > 0


def test_a_run_keeps_them(model: Retraining, digits: ImageData, tmp_path: Path) -> None:
    run = quiet_trainer(
        callbacks=[Report()],
        plugins=[AtomicCheckpointIO()],
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=1,
    )
    stages.retrain(run, model, digits, RunFolder(tmp_path))
    results = stages.test(run, model, digits, RunFolder(tmp_path))
    assert sum(map(sum, results["confusion"])) == 1000
    assert (tmp_path / "worst.png").stat().st_size > 10_000
    assert find_callback(quiet_trainer(), Report) is None
