"""Depthwise convolutions and their gradients, against torch's own in float64."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from darts_lite.space import depthwise as module
from darts_lite.space.depthwise import (
    DepthwiseConv2d,
    compute_weight_gradient,
    depthwise,
    repeat_channels,
    split_grids,
)


def with_gradients(y: Tensor, x: Tensor, weight: Tensor, slope: Tensor) -> list[Tensor]:
    return [y, *torch.autograd.grad(y, [x, weight], slope.to(y.dtype))]


@pytest.mark.parametrize(
    "size, stride, dilation", list(itertools.product((3, 5, 7), (1, 2), (1, 2)))
)
def test_any_map_gives_the_values_and_gradients_of_float64(
    size: int, stride: int, dilation: int
) -> None:
    for height, width, channels in itertools.product((1, 2, 4, 5, 7, 9), (3, 6), (3, 16)):
        convolution = DepthwiseConv2d(channels, size, stride, dilation)
        x = torch.randn(4, channels, height, width).contiguous(memory_format=torch.channels_last)
        x.requires_grad_()
        y = convolution(x)
        assert y.shape == (4, channels, -(-height // stride), -(-width // stride))
        slope = torch.randn_like(y)
        exact_x = x.detach().double().requires_grad_()
        exact_weight = convolution.weight.detach().double().requires_grad_()
        padding = dilation * (size // 2)
        exact_y = conv2d(exact_x, exact_weight, None, stride, padding, dilation, channels)
        ours = with_gradients(y, x, convolution.weight, slope)
        for a, b in zip(ours, with_gradients(exact_y, exact_x, exact_weight, slope), strict=True):
            assert torch.allclose(a.double(), b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size, stride", list(itertools.product((3, 5, 9), (1, 2))))
def test_kernels_of_one_row_give_the_values_and_gradients_of_float64(
    size: int, stride: int
) -> None:
    for width, height in ((1, 1), (2, 1), (9, 1), (40, 1), (9, 3)):
        convolution = DepthwiseConv2d(6, size, stride, axes=1)
        x = torch.randn(4, 6, height, width).contiguous(memory_format=torch.channels_last)
        y = convolution(x.requires_grad_())
        slope = torch.randn_like(y)
        exact_x = x.detach().double().requires_grad_()
        exact_weight = convolution.weight.detach().double().requires_grad_()
        exact_y = conv2d(exact_x, exact_weight, None, stride, (0, size // 2), groups=6)
        ours = with_gradients(y, x, convolution.weight, slope)
        for a, b in zip(ours, with_gradients(exact_y, exact_x, exact_weight, slope), strict=True):
            assert torch.allclose(a.double(), b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size, stride, dilation", [(5, 1, 1), (5, 2, 1), (3, 1, 2), (5, 1, 2)])
def test_a_weight_gradient_in_parts_and_of_shared_maps(
    size: int, stride: int, dilation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(7, 8, 12, 9)
    many = repeat_channels(x, 3)
    weight = torch.randn(24, 1, size, size, dtype=torch.float64, requires_grad=True)
    padding = dilation * (size // 2)
    y = conv2d(many.double(), weight, None, stride, padding, dilation, 24)
    slope = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, weight, slope)
    for cached_bytes in (1, 20_000, 2**30):
        monkeypatch.setattr(module, "CACHED_BYTES", cached_bytes)
        found = compute_weight_gradient(x, slope.float(), size, stride, dilation)
        assert torch.allclose(found.double(), expected, atol=1e-3, rtol=1e-4)


def test_second_derivatives() -> None:
    x = torch.randn(2, 8, 6, 7, requires_grad=True)
    for size, stride, dilation in [(3, 1, 2), (5, 1, 1), (5, 2, 1)]:
        weight = torch.randn(8, 1, size, size, requires_grad=True)
        found = []
        for y in (
            depthwise(x, weight, stride, dilation),
            conv2d(x, weight, None, stride, dilation * (size // 2), dilation, 8),
        ):
            first = torch.autograd.grad(y.square().sum(), [x, weight], create_graph=True)
            found.append(torch.autograd.grad([g.square().sum() for g in first], [x, weight]))
        for a, b in zip(*found, strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))


def test_interleaved_subgrids() -> None:
    x = torch.arange(15.0).view(1, 1, 3, 5)
    assert split_grids(x, 2).flatten(1).tolist() == [
        [0, 2, 4, 10, 12, 14],
        [1, 3, 0, 11, 13, 0],
        [5, 7, 9, 0, 0, 0],
        [6, 8, 0, 0, 0, 0],
    ]


def test_repeated_channels_stand_copy_by_copy() -> None:
    x = torch.randn(2, 3, 4, 5)
    many = repeat_channels(x, 2)
    assert torch.equal(many, torch.cat([x, x], dim=1))
    assert many.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size, stride, dilation", [(3, 1, 1), (5, 1, 1), (5, 2, 1), (3, 1, 2)])
def test_under_autocast_only_results_are_rounded(
    size: int, stride: int, dilation: int, dtype: torch.dtype
) -> None:
    convolution = DepthwiseConv2d(8, size, stride, dilation)
    x = torch.randn(2, 8, 6, 7).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype):
        y = convolution(x)
    exact = convolution(x.float())
    assert y.dtype == dtype and torch.equal(y, exact.to(dtype))
    slope = torch.randn_like(y)
    found = torch.autograd.grad(y, [x, convolution.weight], slope)
    expected = torch.autograd.grad(exact, [x, convolution.weight], slope.float())
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b.to(a.dtype))
