"""Maps of one axis or two: a signal of T values is a map of height 1, an image one of S x S.

Kernels, windows and strides have the same axes as the map; on the others they are 1.
"""

AXES = (1, 2)
"""Numbers of axes that a map may have."""


def make_shape(side: int, axes: int) -> tuple[int, int]:
    """Returns height and width of a map, a kernel or a window of this side: (1, 7) or (7, 7)."""
    height, width = (1,) * (2 - axes) + (side,) * axes
    return height, width


def find_padding(kernel: tuple[int, ...]) -> tuple[int, int]:
    """Returns the rows and columns on each side that keep the shape of a map: (0, 3) for (1, 7)."""
    height, width = (side // 2 for side in kernel[-2:])
    return height, width


def name_shape(side: int, axes: int) -> str:
    """Returns the shape in words: ``1x7`` or ``7x7``."""
    return "x".join(map(str, make_shape(side, axes)))


def check_axes(axes: object) -> None:
    """Raises ValueError if a map cannot have as many axes."""
    if type(axes) is not int or axes not in AXES:
        raise ValueError(f"axes must be 1 for signals or 2 for images, got {axes!r}")
