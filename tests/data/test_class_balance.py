"""How evenly images are spread over their classes."""

import pytest
import torch

from darts_lite.data.class_balance import (
    balance,
    compute_balanced_accuracy,
    count_recalls,
    describe_recalls,
    doubt_counts,
    name_classes,
)


def test_weights_are_inverse_to_the_numbers_with_a_mean_of_one_over_images() -> None:
    counts = torch.tensor([100, 50, 10])
    weights = balance(counts)
    assert (counts * weights).tolist() == pytest.approx([160 / 3] * 3)
    assert float((counts * weights).sum() / counts.sum()) == pytest.approx(1)
    with pytest.raises(ValueError, match="training items of every class"):
        balance(torch.tensor([3, 0]))


def test_few_images_and_uneven_classes_are_told_of_with_what_helps() -> None:
    assert not [*doubt_counts(["cat", "dog"], [60, 20], weighted=False, called="images")]
    few, uneven = doubt_counts(["cat", "dog"], [58, 19], weighted=False, called="images")
    assert "fewer than 20 training images of dog (19)" in few and "add images" in few
    assert "58 training images of cat and 19 of dog" in uneven
    assert "set retraining.class_weights to balanced" in uneven
    (told,) = doubt_counts(["cat", "dog"], [500, 100], weighted=True, called="images")
    assert "set retraining" not in told and "balanced accuracy" in told


def test_recalls_are_named_and_those_of_no_image_unknown() -> None:
    answered = [("cat", "cat"), ("cat", "dog"), ("dog", "dog")]
    recalls = count_recalls(answered, ("cat", "dog", "owl"))
    assert recalls == {"cat": 0.5, "dog": 1.0, "owl": None}
    assert compute_balanced_accuracy(recalls) == 0.75
    assert compute_balanced_accuracy({"cat": None}) is None
    assert describe_recalls(recalls) == "cat 50.0 %, dog 100.0 %"
    many = {str(n): n / 100 for n in range(100)}
    told = describe_recalls(many)
    assert told.startswith("0 0.0 %, 1 1.0 %") and told.endswith("11 11.0 % (the smallest of 100)")


def test_labels_are_names_where_there_are_no_others() -> None:
    assert name_classes(None, 2) == ("0", "1") and name_classes(["a", "b"], 2) == ("a", "b")
