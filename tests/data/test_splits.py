"""Splits in which no class is lost."""

import pytest
import torch

from darts_lite.data.splits import (
    compute_split_sizes,
    hold_out,
    split_groups,
    stratified_order,
)


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
    with pytest.raises(ValueError, match="2 training items cannot be split"):
        compute_split_sizes(2, 0.5)


def test_groups_stay_whole_and_classes_in_proportion() -> None:
    generator = torch.Generator().manual_seed(1)
    groups = torch.randint(40, (600,), generator=generator)
    labels = torch.randint(3, (600,), generator=generator)
    parts = split_groups(labels, groups, [1, 2, 2], seed=0)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(600))
    found = [set(groups[part].tolist()) for part in parts]
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])
    for part, share in zip(parts, (0.2, 0.4, 0.4), strict=True):
        wanted = share * labels.bincount(minlength=3)
        assert (labels[part].bincount(minlength=3) - wanted).abs().max() < 12
    again = split_groups(labels, groups, [1, 2, 2], seed=0)
    assert all(torch.equal(a, b) for a, b in zip(parts, again, strict=True))


def test_each_part_gets_a_group_however_small_its_share() -> None:
    groups = torch.tensor([0] * 90 + [1] * 5 + [2] * 5)
    sizes = [len(part) for part in split_groups(groups % 2, groups, [0.01, 0.49, 0.5], seed=3)]
    assert sorted(sizes) == [5, 5, 90]
    with pytest.raises(ValueError, match="3 groups cannot be split into 4 parts"):
        split_groups(groups % 2, groups, [1, 1, 1, 1], seed=0)
