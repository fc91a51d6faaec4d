"""How much memory there is, and how much was used at most."""

import ctypes
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names and numbers of glibc's malloc.h."""
NEVER = 2**31 - 1
HEAP = 2**30
FIRST = 2**17
"""With which glibc begins, of both."""

MARGIN = 0.85
"""Part of what is free that may be planned with: what else runs wants some as well."""
VISIBLE = 32 * 2**20
"""Bytes above which a growth is more than noise."""
SIGNS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "could not create a primitive",
    "could not create a memory",
    "can't start new thread",
)
"""What torch and Python say on different systems; oneDNN, in two of them, knows no better."""


def available(device: torch.device) -> int:
    """Bytes that a program may still take."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = _field("/proc/meminfo", "MemAvailable:") * 1024 or _installed()
    limit, used = (_number(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    return min(free, limit - used) if limit else free


def peak(device: torch.device) -> int:
    """Most bytes that this process has had at once on a device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def about_memory(error: BaseException) -> bool:
    """Whether an error says that memory is used up."""
    told = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return told or any(sign in str(error) for sign in SIGNS)


def largest_batch(
    attempt: Callable[[int], None], size: int, most: int, device: torch.device
) -> int:
    """How many images fit at once.

    On a GPU each size is tried. On a processor the memory of one image follows from two sizes, and
    the rest is reckoned: to fill a machine's memory would halt whatever else runs on it.

    Args:
        attempt: Takes the memory of a step with so many images.
        size: With which to begin.
        most: Where to end: there are no more images.
        device: Where it is tried.
    """
    free, before, known = available(device), peak(device), 0.0
    size = min(size, most)
    while size < most:
        give_back_memory()  # else a larger batch may come to lie beside what the last one left
        try:
            attempt(2 * size)
        except (RuntimeError, MemoryError) as error:
            if not about_memory(error):
                raise
            return size
        after = peak(device)
        if device.type == "cpu" and known and after - before > VISIBLE:
            return min(most, int(MARGIN * free / ((after - before) / size)))
        known, before, size = float(after - before > VISIBLE), after, 2 * size
    return most


def _installed() -> int:
    """Bytes of the machine, where its system does not tell how many of them are free."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _field(path: str, name: str) -> int:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def _number(path: str) -> int:
    text = Path(path).read_text().strip() if Path(path).exists() else ""
    return int(text) if text.isdigit() else 0


def keep_freed_memory() -> bool:
    """Lets the process keep what it frees; whether its C library can do so.

    Every training step frees all of its maps and needs as many again. By default glibc gives
    blocks of this size back to the system, which has to clear each page anew before the next step
    may write to it. The process then holds hardly more than it has needed at one time.

    Only where glibc allocates there is something to set: elsewhere this does nothing.
    """
    return _set({M_TRIM_THRESHOLD: NEVER, M_MMAP_THRESHOLD: HEAP})


def return_freed_memory() -> bool:
    """Ends what `keep_freed_memory` began; whether the C library can do so.

    Where memory is short, what was freed may else lie in the heap, below a block still in use, and
    only the heap can have it again: none is left for what is never put there, as the stacks of
    threads or the code that oneDNN writes for each shape.
    """
    made = _set({M_TRIM_THRESHOLD: FIRST, M_MMAP_THRESHOLD: FIRST})
    give_back_memory()
    return made


def give_back_memory() -> None:
    """Gives all that is free in the process back to the system, where glibc allocates."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _set(settings: dict[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(name, value) for name, value in settings.items())
