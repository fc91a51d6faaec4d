"""Items of classes in memory: real digits."""

import pytest
import torch

from darts_lite.data.images.augmentation import Augmentation
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.labelled_data import describe_changes, scale_values


def test_whole_numbers_become_shares() -> None:
    assert scale_values(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0.0, 1.0]
    assert scale_values(torch.tensor([-32768, 16384], dtype=torch.int16)).tolist() == [-1.0, 0.5]
    assert scale_values(torch.tensor([0.25])).tolist() == [0.25]


def test_items_are_known_after_setup(digits: ImageData) -> None:
    with pytest.raises(RuntimeError, match="call setup"):
        _ = ImageData().items
    digits.setup("fit")
    items, labels = digits.sample_test(20)
    assert labels.unique().tolist() == list(range(10)) and items.max() <= 1
    chosen = digits.splits["weights"][:7]
    images, _ = digits.read("train", chosen, (0, 1), "evaluation")  # type: ignore[arg-type]
    torch.testing.assert_close(images, digits.prepare(digits.items.train_items[chosen]))
    assert digits.checksum == digits.checksum and int(digits.class_counts.sum()) > 0


def test_an_augmentation_is_described() -> None:
    assert describe_changes(None) is None
    assert (describe_changes(Augmentation(flip=True)) or {})["init_args"]["flip"] is True
