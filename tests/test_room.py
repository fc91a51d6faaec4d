"""How many images fit at once."""

import torch

from darts_lite import room


def test_the_largest_batch_follows_from_what_images_take() -> None:
    def attempt(size: int) -> None:
        torch.ones(size, 2**18)  # a mebibyte each

    device = torch.device("cpu")
    room_for = room.available(device) / 2**20
    found = room.largest_batch(attempt, 16, 10**9, device)
    assert 0.5 * room_for < found <= room_for
    assert room.largest_batch(attempt, 16, 40, device) == 40


def test_too_little_memory_is_seen() -> None:
    def attempt(size: int) -> None:
        if size > 100:
            raise MemoryError

    assert room.largest_batch(attempt, 16, 10**6, torch.device("cpu")) == 64
