"""Shapes of maps of one axis or two."""

import pytest

from darts_lite.space.maps import check_axes, find_padding, make_shape, name_shape


def test_a_shape_has_a_side_along_each_axis() -> None:
    assert make_shape(7, 2) == (7, 7) and make_shape(7, 1) == (1, 7)
    assert name_shape(7, 2) == "7x7" and name_shape(7, 1) == "1x7"
    assert find_padding((1, 7)) == (0, 3) and find_padding((8, 1, 5, 5)) == (2, 2)


@pytest.mark.parametrize("axes", [0, 3, True, "1", None])
def test_there_are_one_axis_or_two(axes: object) -> None:
    with pytest.raises(ValueError, match="axes must be 1 for signals or 2 for images, got"):
        check_axes(axes)
