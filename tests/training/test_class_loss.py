"""The loss of classifiers."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from darts_lite.training.class_loss import ClassLoss

COUNTS = torch.tensor([30, 20, 10])
DATA = SimpleNamespace(class_counts=COUNTS)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(60, 3, dtype=torch.float64), torch.arange(3).repeat_interleave(COUNTS)


def test_without_weights_it_is_the_plain_loss(batch: Any) -> None:
    logits, labels = batch
    for smoothing in (0.0, 0.1):
        loss = ClassLoss(3, None, smoothing)
        loss.know_data(None)
        assert not loss.state_dict()
        expected = cross_entropy(logits, labels, label_smoothing=smoothing)
        torch.testing.assert_close(loss(logits, labels), expected)


def test_classes_count_alike_whatever_their_numbers(batch: Any) -> None:
    logits, labels = batch
    loss = ClassLoss(3, "balanced").double()
    loss.know_data(DATA)
    means = [cross_entropy(logits[labels == k], labels[labels == k]) for k in range(3)]
    torch.testing.assert_close(loss(logits, labels), torch.stack(means).mean())
    torch.testing.assert_close(loss(logits, one_hot(labels).double()), loss(logits, labels))


def test_parts_of_a_joint_batch_count_as_in_it(batch: Any) -> None:
    logits, labels = batch
    loss = ClassLoss(3, "balanced", 0.1).double()
    loss.know_data(DATA)
    halves = [loss(logits[rank::2], labels[rank::2]) for rank in range(2)]
    torch.testing.assert_close(torch.stack(halves).mean(), loss(logits, labels))


def test_what_it_cannot_weigh_by_is_refused() -> None:
    with pytest.raises(ValueError, match="class_weights must be balanced or null"):
        ClassLoss(3, "even")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="class_weights needs a darts_lite.ImageData"):
        ClassLoss(3, "balanced").know_data(None)
