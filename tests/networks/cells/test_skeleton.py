"""Stem, stacking and heads."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from darts_lite.networks.cells.skeleton import (
    SKELETONS,
    AuxiliaryHead,
    CellPlan,
    StackedCells,
    average_to_2x2,
)
from darts_lite.space.cells.skeleton_settings import SkeletonSettings


class Recorder(nn.Module):
    """A cell that only remembers its plan; the output has as many channels as two nodes."""

    def __init__(self, plan: CellPlan) -> None:
        super().__init__()
        self.plan, self.out_channels = plan, 2 * plan.channels

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        assert tuple(x.shape[1] for x in inputs) == self.plan.input_channels
        last = inputs[-1]
        size = last[:, :, ::2, ::2] if self.plan.kind == "reduce" else last
        return size.mean(dim=1, keepdim=True).expand(-1, self.out_channels, -1, -1)


def test_plans_follow_the_reductions() -> None:
    settings = SkeletonSettings(channels=4, cells=4, reductions=(1, 3))
    skeleton = StackedCells(settings, Recorder, in_channels=1, num_classes=10)
    plans: list[Any] = [cell.plan for cell in skeleton.cells]
    assert [plan.kind for plan in plans] == ["normal", "reduce", "normal", "reduce"]
    assert [plan.channels for plan in plans] == [4, 8, 8, 16]
    assert [plan.input_channels for plan in plans] == [(12, 12), (12, 8), (8, 16), (16, 16)]
    assert [plan.input_reduced for plan in plans] == [False, False, True, False]
    assert skeleton(torch.randn(3, 1, 13, 11))[0].shape == (3, 10)


def test_strides_of_a_reducing_cell() -> None:
    plan = CellPlan(0, "reduce", (4, 4), False, 4)
    assert [plan.stride(source) for source in range(4)] == [2, 2, 1, 1]


def test_the_auxiliary_head_speaks_in_training_only() -> None:
    settings = SkeletonSettings(channels=2, cells=3)
    skeleton = StackedCells(settings, Recorder, 1, 10, auxiliary=True)
    assert skeleton.train()(torch.randn(4, 1, 32, 32))[1].shape == (4, 10)
    assert skeleton.eval()(torch.randn(4, 1, 32, 32))[1] is None


def test_an_auxiliary_head_needs_a_reduction() -> None:
    settings = SkeletonSettings(cells=2, reductions=())
    with pytest.raises(ValueError, match="needs a reducing cell"):
        StackedCells(settings, Recorder, 1, 10, auxiliary=True)


def test_the_published_window_on_8x8() -> None:
    x = torch.randn(2, 3, 8, 8)
    published = nn.functional.avg_pool2d(x, 5, stride=3)
    assert torch.equal(average_to_2x2(x), published)


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 9), (14, 15), (33, 8)])
def test_any_map_becomes_2x2(size: tuple[int, int]) -> None:
    assert average_to_2x2(torch.randn(2, 3, *size)).shape == (2, 3, 2, 2)
    assert AuxiliaryHead(3, 5).eval()(torch.randn(2, 3, *size)).shape == (2, 5)


@pytest.mark.parametrize("wiring", ["residual", "separable"])
def test_blocks_stand_between_cells(wiring: str) -> None:
    settings = SkeletonSettings(4, 5, stem="conv3x3_narrow", wiring=wiring)

    class Passing(nn.Module):
        def __init__(self, plan: CellPlan) -> None:
            super().__init__()
            self.plan = plan

        def forward(self, inputs: Sequence[Tensor]) -> Tensor:
            (x,) = inputs
            assert x.shape[1] == self.plan.channels and self.plan.kind == "normal"
            return x

    skeleton = SKELETONS[wiring](settings, Passing, in_channels=3, num_classes=7)
    plans: list[Any] = [cell.plan for cell in skeleton.cells]
    assert [plan.channels for plan in plans] == [4, 8, 8, 16, 16]
    assert list(skeleton.reductions) == ["1", "3"]
    for size in (8, 9, 13):
        assert skeleton(torch.randn(2, 3, size, size))[0].shape == (2, 7)
    with pytest.raises(ValueError, match="no auxiliary head"):
        SKELETONS[wiring](settings, Passing, 3, 7, auxiliary=True)
