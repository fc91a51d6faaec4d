"""Measures memory and how many images fit into it, and lets glibc keep or return freed memory."""

import ctypes
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

MARGIN = 0.85  # share of the free memory to plan with, which leaves some to other programs
VISIBLE = 32 * 2**20  # growth in bytes above which it is more than noise
SIGNS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "could not create a primitive",
    "could not create a memory",
    "can't start new thread",
)
"""Messages of torch and Python on different systems; two are oneDNN's, which says no more."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # options of glibc's malloc.h
NEVER = 2**31 - 1  # trim threshold in bytes that keeps the heap from shrinking
HEAP = 2**30  # block size in bytes up to which blocks lie in the heap
DEFAULT_THRESHOLD = 2**17  # initial value of both thresholds in glibc, in bytes


def read_free_bytes(device: torch.device) -> int:
    """Returns the bytes that a program may still take."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available
    limit, used = (_read_number(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    return min(free, limit - used) if limit else free


def read_peak_bytes(device: torch.device) -> int:
    """Returns the most bytes that this process has held at once on a device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def is_about_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory is used up."""
    by_type = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return by_type or any(sign in str(error) for sign in SIGNS)


def find_largest_batch(
    attempt: Callable[[int], None], size: int, most: int, device: torch.device
) -> int:
    """Returns how many images fit into memory at once.

    On a GPU, sizes are doubled until one does not fit. On a CPU, the memory per image follows from
    two sizes, and the largest size is computed: filling a machine's memory would halt all else.

    Args:
        attempt: Uses the memory of a step with this number of images.
        size: First size, which is assumed to fit.
        most: Largest size, as there are no more images.
    """
    free, before, known = read_free_bytes(device), read_peak_bytes(device), 0.0
    size = min(size, most)
    while size < most:
        trim_memory()  # else a larger batch may lie beside what the last one left
        try:
            attempt(2 * size)
        except (RuntimeError, MemoryError) as error:
            if not is_about_memory(error):
                raise
            return size
        after = read_peak_bytes(device)
        if device.type == "cpu" and known and after - before > VISIBLE:
            return min(most, int(MARGIN * free / ((after - before) / size)))
        known, before, size = float(after - before > VISIBLE), after, 2 * size
    return most


def _read_number(path: str) -> int:
    text = Path(path).read_text().strip() if Path(path).exists() else ""
    return int(text) if text.isdigit() else 0


def keep_freed_memory() -> bool:
    """Lets the process keep the memory that it frees; returns whether its C library can do so.

    Every training step frees all of its maps and needs as many again. glibc would return blocks of
    this size to the system, which must clear each page anew before the next step writes to it. The
    process then holds hardly more than its peak. Without glibc this does nothing.
    """
    return _set_malloc({M_TRIM_THRESHOLD: NEVER, M_MMAP_THRESHOLD: HEAP})


def return_freed_memory() -> bool:
    """Undoes `keep_freed_memory`; returns whether the C library can do so.

    Freed memory may lie in the heap below a block that is still in use, where only the heap can
    use it again. When memory is short, nothing is then left for what never lies in the heap, such
    as threads' stacks and the code that oneDNN generates for each shape.
    """
    done = _set_malloc({M_TRIM_THRESHOLD: DEFAULT_THRESHOLD, M_MMAP_THRESHOLD: DEFAULT_THRESHOLD})
    trim_memory()
    return done


def trim_memory() -> None:
    """Returns all free memory of the process to the system, if glibc is its C library."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _set_malloc(settings: dict[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(name, value) for name, value in settings.items())
