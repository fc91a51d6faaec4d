"""The C library's allocator, set for a program that needs the same memory again and again."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names and numbers of glibc's malloc.h."""
NEVER = 2**31 - 1
HEAP = 2**30
FIRST = 2**17
"""With which glibc begins, of both."""


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
