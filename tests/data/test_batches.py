"""Batches of real digits, and the parts of them that ranks get."""

from dataclasses import replace

import pytest
import torch
from run_helpers import some_digits
from torch import Tensor

from darts_lite.data.batches import Batch, Batches, PairedBatches
from darts_lite.distributed.ranks import Shard

IMAGES, LABELS = some_digits()


def read(chosen: Tensor, part: Shard) -> Batch:
    return IMAGES[chosen].float(), LABELS[chosen]


@pytest.fixture
def batches() -> Batches:
    return Batches(read, torch.arange(len(IMAGES)), 20, "key", epoch=lambda: 3)


def parts(joint: Batches, ranks: int) -> list[Batches]:
    size = joint.batch_size // ranks
    return [replace(joint, batch_size=size, part=Shard(rank, ranks)) for rank in range(ranks)]


def test_every_rank_sees_its_part_of_the_joint_batch(batches: Batches) -> None:
    split = parts(batches, 2)
    assert len(batches) == len(split[0]) == len(split[1])
    for (x, y), first, second in zip(batches, *split, strict=True):
        assert torch.equal(x[0::2], first[0]) and torch.equal(x[1::2], second[0])
        assert torch.equal(y[0::2], first[1]) and torch.equal(y[1::2], second[1])


def test_ranks_get_equally_much_of_a_small_split(batches: Batches) -> None:
    small = replace(batches, indices=torch.arange(7))
    assert [len(y) for _, y in small] == [7]
    assert [[len(y) for _, y in part] for part in parts(small, 2)] == [[3], [3]]


def test_in_order_no_image_is_left_out(batches: Batches) -> None:
    ordered = replace(batches, shuffle_key=None, indices=torch.arange(101))
    seen = [torch.cat([y for _, y in part]) for part in parts(ordered, 2)]
    assert torch.equal(seen[0], LABELS[0:101:2])
    assert torch.equal(seen[1], LABELS[1:101:2])


def test_batches_go_on_where_they_were(batches: Batches) -> None:
    whole = [y for _, y in batches]
    begun = iter(batches)
    for _ in range(2):
        next(begun)
    resumed = replace(batches)
    resumed.load_state_dict(batches.state_dict())
    for found, expected in zip([y for _, y in resumed], whole[2:], strict=True):
        assert torch.equal(found, expected)


def test_the_shorter_of_a_pair_ends(batches: Batches) -> None:
    short = replace(batches, indices=torch.arange(50))
    pairs = PairedBatches(weights=batches, alphas=short)
    assert len(pairs) == len(list(pairs)) == len(short)
