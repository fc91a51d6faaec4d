"""What a retraining may add to plain training, on real digits."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from darts_lite.data.batches import Batches
from darts_lite.data.images.image_data import ImageData
from darts_lite.retraining.recipe import (
    SCHEDULES,
    average_over_shifts,
    compute_side,
    count_shifts,
    make_exponential_average,
    mix_up,
    shift_images,
    warm_cosine,
)


@pytest.fixture
def batch(digits: ImageData) -> tuple[torch.Tensor, torch.Tensor]:
    digits.setup("fit")
    loader = digits.train_dataloader()
    assert isinstance(loader, Batches)
    images, labels = next(iter(loader))
    return images[:8].double(), labels[:8]


def test_warm_cosine_rises_in_a_line_and_falls_to_nothing() -> None:
    shares = [warm_cosine(step / 100) for step in range(101)]
    assert shares[:11] == pytest.approx([step / 10 for step in range(11)])
    assert shares[55] == pytest.approx(0.5) and shares[100] == pytest.approx(0)
    assert all(later < earlier for earlier, later in pairwise(shares[10:]))


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_end_low(name: str) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    schedule = SCHEDULES[name](optimizer, 50)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.2, rel=0.01) and rates[-1] < 0.002


@pytest.mark.parametrize(
    ("kind", "settings", "turned"),
    [
        (torch.optim.SGD, {"momentum": 0.9}, True),
        (torch.optim.AdamW, {}, True),
        (torch.optim.SGD, {}, False),
        (torch.optim.Adagrad, {}, False),
    ],
)
def test_one_cycle_turns_momentum_where_there_is_some(
    kind: Any, settings: dict[str, Any], turned: bool
) -> None:
    optimizer = kind([nn.Parameter(torch.zeros(1))], lr=0.2, **settings)
    schedule = SCHEDULES["one_cycle"](optimizer, 50)
    found = []
    for _ in range(50):
        group = optimizer.param_groups[0]
        found.append(group.get("momentum") or group.get("betas", [0])[0])
        optimizer.step()
        schedule.step()
    assert (max(found), min(found)) == (
        pytest.approx((0.95, 0.85), abs=0.001) if turned else (0, 0)
    )


def test_mixup_mixes_images_and_labels_alike(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = batch
    torch.manual_seed(0)
    mixed, targets = mix_up(images, labels, 10, 1.0)
    torch.manual_seed(0)
    share = float(torch.distributions.Beta(1.0, 1.0).sample())
    for number in range(8):
        other = (number + 4) % 8
        expected = share * images[number] + (1 - share) * images[other]
        torch.testing.assert_close(mixed[number], expected)
        assert targets[number].sum() == pytest.approx(1)
        assert targets[number, labels[number]] >= share - 1e-6
        assert targets[number, labels[other]] >= 1 - share - 1e-6


def test_two_processes_mix_the_pairs_of_one(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = batch
    torch.manual_seed(3)
    whole, targets = mix_up(images, labels, 10, 0.4)
    for rank in range(2):
        torch.manual_seed(3)
        part, part_targets = mix_up(images[rank::2], labels[rank::2], 10, 0.4)
        assert torch.equal(part, whole[rank::2]) and torch.equal(part_targets, targets[rank::2])


def test_sides_grow_until_half_of_the_training() -> None:
    assert [compute_side(progress, 0.5, 28) for progress in (0, 0.25, 0.5, 1)] == [14, 21, 28, 28]
    assert compute_side(0, 1.0, 28) == 28 and compute_side(0, 0.001, 28) == 1


def test_the_mean_of_shifts_is_that_of_nine_answers(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    images, _ = batch
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).double()
    mean = torch.zeros(8, 10, dtype=torch.float64)
    for down in (-2, 0, 2):
        for right in (-2, 0, 2):
            rows, columns = ((torch.arange(28) + by).clamp(0, 27) for by in (down, right))
            mean += net(images[:, :, rows][:, :, :, columns]).softmax(dim=1) / 9
    torch.testing.assert_close(average_over_shifts(net, images, 2).exp(), mean)
    torch.testing.assert_close(
        average_over_shifts(net, images, 0).exp(), net(images).softmax(dim=1)
    )


def test_signals_are_shifted_in_time_alone() -> None:
    rows = torch.arange(8.0).view(1, 2, 1, 4)
    views = shift_images(rows, 1)
    assert len(views) == count_shifts(1) and torch.equal(views[1], rows)
    assert [view[0, 0, 0].tolist() for view in views] == [[0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 3]]
    with pytest.raises(ValueError, match="test_shifts must be below the side of the images, 4; "):
        shift_images(rows, 4)


def test_the_average_ramps_up_to_its_decay() -> None:
    for updates, decay in ((0, 0.1), (5, 6 / 15), (10_000, 0.9)):
        mean, count = torch.tensor([1.0]), torch.tensor([1])
        make_exponential_average(0.9)(
            [mean, count], [torch.tensor([2.0]), torch.tensor([7])], updates
        )
        assert torch.allclose(mean, torch.tensor([2 - decay]))
        assert count == 7
