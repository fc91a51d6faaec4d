"""Splits in which no class is lost."""

import pytest
import torch

from darts_lite.data.splits import compute_split_sizes, hold_out, stratified_order


def test_every_slice_of_the_stratified_order_has_the_proportions_of_the_whole() -> None:
    labels = torch.tensor([0] * 500 + [1] * 300 + [2] * 200)
    order = stratified_order(labels, seed=0)
    assert torch.equal(order.sort().values, torch.arange(1000))
    for start, stop in ((0, 100), (100, 350), (333, 777)):
        counts = labels[order[start:stop]].bincount(minlength=3)
        expected = (stop - start) * torch.tensor([0.5, 0.3, 0.2])
        assert (counts - expected).abs().max() <= 1.5
    assert torch.equal(order, stratified_order(labels, seed=0))
    assert not torch.equal(order, stratified_order(labels, seed=1))


def test_the_last_image_of_a_class_is_not_held_out() -> None:
    assert hold_out(torch.tensor([0, 1, 2, 0, 2]), 3).tolist() == [True, False, True, False, False]
    assert hold_out(torch.tensor([0, 0, 1, 1]), 1).tolist() == [True, False, False, False]
    assert not hold_out(torch.arange(12), 2).any()


def test_too_few_images_for_all_splits_are_refused() -> None:
    assert compute_split_sizes(10, 0.2) == {"validation": 2, "weights": 4, "alphas": 4}
    with pytest.raises(ValueError, match="2 training images cannot be split"):
        compute_split_sizes(2, 0.5)
