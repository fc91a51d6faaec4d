"""How many images fit at once."""

import pytest
import torch

from darts_lite import room
from darts_lite.room import about_memory


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


def test_errors_about_memory_are_known() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert about_memory(error.value)
    assert about_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert about_memory(MemoryError())
    assert not about_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
