"""Numbers of channels that are chosen."""

import copy

import pytest
import torch
from torch import nn

from darts_lite import Width
from darts_lite.space.own.widths import find_widths, list_sources, mask_parts, parts_of, place_kept


def test_it_is_its_largest_number() -> None:
    width = Width(8, (2, 4, 8))
    assert width == 8 and nn.Conv2d(1, width, 3).weight.shape[0] == 8
    assert type(copy.deepcopy(width)) is Width and copy.deepcopy(width).parts == width.parts


def test_its_multiples_and_sums_keep_their_channels() -> None:
    width, other = Width(4, (2, 4)), Width(3, (1, 3))
    (source,), (second,) = ([part.source for part in one.parts] for one in (width, other))
    assert source is not None and second is not None
    chosen = {source: 2, second: 1}
    cases = {
        width * 3: [0, 1, 2, 3, 4, 5],
        width // 2: [0],
        width + other: [0, 1, 4],
        (width + other) * 2: [0, 1, 2, 3, 8, 9],
        1 + width: [0, 1, 2],
        (width + other) // 1: [0, 1, 4],
    }
    for number, kept in cases.items():
        parts = parts_of(number)
        assert place_kept(parts, chosen).tolist() == kept
        rows = {source: torch.tensor([1.0, 0]), second: torch.tensor([1.0, 0])}
        assert mask_parts(parts, rows).nonzero().flatten().tolist() == kept
    (part,) = parts_of((Width(6, (5, 6)) // 4) * 3)
    assert [part.count(5), part.count(6), part.most] == [3, 3, 3]  # in the order of the steps
    soft = mask_parts(width.parts, {source: torch.tensor([0.3, 0.7])})
    assert torch.allclose(soft, torch.tensor([1, 1, 0.7, 0.7]))


def test_layers_hold_them() -> None:
    width = Width(4, (2, 4))
    assert find_widths(nn.Conv2d(width, width, 3, groups=width)) == [4, 4, 4]
    assert list_sources(nn.Linear(width * 9, 3)) == [width.parts[0].source]
    assert find_widths(nn.Linear(4, 3)) == []
    assert nn.Conv2d(width + width, 3, 1).weight.shape == (3, 8, 1, 1)


@pytest.mark.parametrize(("options", "most"), [((2, 4), 2), ((), 4), ((0, 4), 4), ((2, 4), 5)])
def test_the_largest_comes_first(options: tuple[int, ...], most: int) -> None:
    with pytest.raises(ValueError, match="Width needs the largest of its options first"):
        Width(most, options)


def test_what_cannot_be_cut_is_refused() -> None:
    width = Width(4, (2, 4))
    for layer in (nn.LayerNorm(width), nn.GroupNorm(2, width)):
        with pytest.raises(ValueError, match="cannot be chosen; a Width fits Linear"):
            find_widths(layer)
    with pytest.raises(ValueError, match="convolution in groups"):
        find_widths(nn.Conv2d(width, width, 3, groups=2))
    with pytest.raises(ValueError, match="convolution in groups"):
        find_widths(nn.Conv2d(width, Width(4, (1, 4)), 3, groups=width))
    with pytest.raises(ValueError, match="cannot be divided by 4"):
        _ = width // 4
