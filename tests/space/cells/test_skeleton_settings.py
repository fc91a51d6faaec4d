"""Settings of skeletons."""

import pytest

from darts_lite.space.cells.skeleton_settings import SkeletonSettings


@pytest.mark.parametrize(
    ("cells", "expected"), [(20, (6, 13)), (8, (2, 5)), (3, (1, 2)), (1, (0,)), (2, (0, 1))]
)
def test_reductions_stand_at_one_and_two_thirds(cells: int, expected: tuple[int, ...]) -> None:
    assert SkeletonSettings(cells=cells).reduction_cells == expected


def test_kinds_are_those_that_occur() -> None:
    assert SkeletonSettings(cells=3, reductions=()).kinds == ("normal",)
    assert SkeletonSettings(cells=2, reductions=(0, 1)).kinds == ("reduce",)
