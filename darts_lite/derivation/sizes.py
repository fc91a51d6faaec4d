"""Reads sizes of memory as people write them."""

import re
from collections.abc import Mapping
from reprlib import repr as short

UNITS: Mapping[str, int] = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "KiB": 1024,
    "MB": 1000**2,
    "MiB": 1024**2,
}
"""Bytes of a unit; KB is left out, since people mean either by it."""
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def read_size(value: int | str, name: str) -> int:
    """Returns the bytes of a size such as ``4096``, ``8kB`` or ``8 KiB``.

    Raises ValueError, whose message begins with the `name`, if it is another text, or not above 0.
    """
    found = SIZE.fullmatch(str(value))
    if found is None or found[2] not in UNITS:
        raise ValueError(
            f"{name} is {short(value)}; give bytes, or a number with one of "
            f"{', '.join(filter(None, UNITS))}, as 8kB"
        )
    size = int(float(found[1]) * UNITS[found[2]])
    if size < 1:
        raise ValueError(f"{name} must be above 0, got {short(value)}")
    return size
