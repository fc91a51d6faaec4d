"""What a process does with the memory it frees."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from darts_lite.allocator import keep_freed_memory, return_freed_memory

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    kept = page_faults("keep")
    assert kept < page_faults("leave") / 4
    assert kept < page_faults("return") / 4
