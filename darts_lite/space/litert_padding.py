"""How LiteRT pads the maps that convolutions read, and where larger kernels spare that."""

import math

MOST_ZEROS = 512
"""Largest number of zeros by which the kernels of a convolution grow, in bytes."""


def count_padding(side: int, kernel: int, stride: int) -> int:
    """Returns how many rows LiteRT pads a map by, before it and behind it together."""
    return max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)


def grows(side: int, kernel: int, stride: int, kernels: int) -> bool:
    """Returns whether kernels grow by a row and a column of zeros, which spares a padded copy.

    A stride of 2 on an even side reads one row more before the map than behind it, and LiteRT pads
    the other way round; with an even kernel both are alike. Many kernels would take more of the
    file than the copy, of which there are `kernels`.
    """
    margin = 2 * (kernel // 2)
    spares = (
        count_padding(side, kernel, stride) != margin == count_padding(side, kernel + 1, stride)
    )
    return spares and (2 * kernel + 1) * kernels <= MOST_ZEROS
