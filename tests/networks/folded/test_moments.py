"""Rows, and moments that autograd agrees with."""

import pytest
import torch
from torch import Tensor

from darts_lite.distributed.batch_norm import widen
from darts_lite.networks.folded.moments import (
    DepthwiseCall,
    compute_depthwise_moments,
    compute_row_moments,
    size_of,
    to_map,
    to_rows,
)


def plain_moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    centred = rows - rows.mean(dim=1, keepdim=True)
    return rows.mean(dim=1), centred.mT @ centred / rows.shape[1]


def test_rows_are_the_map_without_a_copy() -> None:
    x = torch.randn(2, 6, 4, 5).contiguous(memory_format=torch.channels_last)
    rows = to_rows(x, 3)
    assert rows.shape == (3, 40, 2) and rows.data_ptr() == x.data_ptr()
    assert torch.equal(rows[1, 7], x[0, 2:4, 1, 2])
    back = to_map(rows, size_of(x))
    assert torch.equal(back, x) and back.data_ptr() == x.data_ptr()


def test_moments_have_the_gradients_of_their_definition() -> None:
    rows = torch.randn(3, 20, 4, dtype=torch.float64, requires_grad=True)

    def folded(rows: Tensor) -> tuple[Tensor, ...]:
        (result,), mean, covariance = compute_row_moments(rows)
        return result.square(), mean, covariance

    mean, covariance = plain_moments(rows)
    for a, b in zip(folded(rows), (rows.square(), mean, covariance), strict=True):
        assert torch.allclose(a, b)
    assert torch.autograd.gradcheck(folded, [rows])
    assert torch.autograd.gradgradcheck(folded, [rows])


@pytest.mark.slow
def test_depthwise_moments_of_shared_and_own_maps() -> None:
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    own = torch.randn(2, 6, 3, 4, dtype=torch.float64, requires_grad=True)
    kernels = [
        torch.randn(6, 1, size, size, dtype=torch.float64, requires_grad=True) for size in (3, 5, 3)
    ]

    def folded(x: Tensor, own: Tensor, *kernels: Tensor) -> tuple[Tensor, ...]:
        calls = [
            DepthwiseCall(x, kernels[0], 1, 1),
            DepthwiseCall(own, kernels[1], 1, 1),
            DepthwiseCall(x, kernels[2], 1, 2),
        ]
        rows, mean, covariance = compute_depthwise_moments(calls, edges=3)
        return *rows, mean, covariance

    *rows, mean, covariance = folded(x, own, *kernels)
    assert [row.shape for row in rows] == [(3, 24, 2)] * 3
    expected = plain_moments(torch.cat(rows))
    assert torch.allclose(mean, expected[0]) and torch.allclose(covariance, expected[1])
    assert torch.autograd.gradcheck(folded, [x, own, *kernels])
    assert torch.autograd.gradgradcheck(folded, [x, own, *kernels])


def test_statistics_are_never_narrower_than_float32() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert widen(dtype) == torch.float32
        moments = compute_row_moments(torch.ones(1, 4, 2, dtype=dtype))
        assert moments.covariance.dtype == torch.float32
    assert widen(torch.float64) == torch.float64
