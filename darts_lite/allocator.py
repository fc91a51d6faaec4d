"""The C library's allocator, set for a program that needs the same memory again and again."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names and numbers of glibc's malloc.h."""
NEVER = 2**31 - 1
HEAP = 2**30


def keep_freed_memory() -> bool:
    """Lets the process keep what it frees; whether its C library can do so.

    Every training step frees all of its maps and needs as many again. By default glibc gives
    blocks of this size back to the system, which has to clear each page anew before the next step
    may write to it. The process then holds hardly more than it has needed at one time.

    Only where glibc allocates there is something to set: elsewhere this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    settings = {M_TRIM_THRESHOLD: NEVER, M_MMAP_THRESHOLD: HEAP}
    return mallopt is not None and all(mallopt(name, value) for name, value in settings.items())


def give_back_memory() -> None:
    """Gives all that is free in the process back to the system, where glibc allocates."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
