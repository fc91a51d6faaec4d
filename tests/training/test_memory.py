"""How many images fit at once."""

import subprocess
import sys

import pytest
import torch

from darts_lite.training import memory
from darts_lite.training.memory import is_about_memory


@pytest.mark.slow
def test_the_largest_batch_follows_from_what_images_take() -> None:
    def attempt(size: int) -> None:
        torch.ones(size, 2**18)  # a mebibyte each

    device = torch.device("cpu")
    room_for = memory.read_free_bytes(device) / 2**20
    found = memory.find_largest_batch(attempt, 16, 10**9, device)
    assert 0.5 * room_for < found <= room_for
    assert memory.find_largest_batch(attempt, 16, 40, device) == 40


def test_too_little_memory_is_seen() -> None:
    def attempt(size: int) -> None:
        if size > 100:
            raise MemoryError

    assert memory.find_largest_batch(attempt, 16, 10**6, torch.device("cpu")) == 64


def test_errors_about_memory_are_known() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_about_memory(error.value)
    assert is_about_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_about_memory(MemoryError())
    assert not is_about_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


PROGRAM = """
import resource, sys
import torch
from darts_lite.training.memory import keep_freed_memory, return_freed_memory

if sys.argv[1] != "leave":
    assert keep_freed_memory()
if sys.argv[1] == "return":
    assert return_freed_memory()
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = [torch.ones(10 * 2**20) for _ in range(4)]
    del maps
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(choice: str) -> int:
    """Of the last of twelve rounds that fill and free four maps of 40 MiB.

    Blocks of more than 32 MiB always go back to the system where nothing is set; where they are
    kept, it takes some rounds until every block has found a place that fits.
    """
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM, choice], capture_output=True, text=True, check=True
    )
    return int(made.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    kept = page_faults("keep")
    assert kept < page_faults("leave") / 4
    assert kept < page_faults("return") / 4
