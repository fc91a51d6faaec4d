"""Norms behind 1x1 convolutions, against the norm of the convolution's result."""

import torch
from torch import Tensor, nn

from darts_lite.networks.folded.moments import Moments, compute_row_moments
from darts_lite.networks.folded.norms import (
    RunningStatistics,
    compute_batch_statistics,
    read_running_statistics,
)


def norms(count: int, channels: int) -> list[nn.BatchNorm2d]:
    return [nn.BatchNorm2d(channels, affine=False, dtype=torch.float64) for _ in range(count)]


def test_batch_statistics_are_those_of_the_result() -> None:
    rows, matrix = torch.randn(3, 50, 4).double() + 2, torch.randn(3, 5, 4).double()
    folded, literal = norms(3, 5), norms(3, 5)
    running = RunningStatistics()
    mean, scale = compute_batch_statistics(compute_row_moments(rows), matrix, folded, running)
    running.update()
    for edge in range(3):
        z = rows[edge] @ matrix[edge].T  # (N, C)
        expected = literal[edge](z.T.reshape(1, 5, 50, 1))
        assert torch.allclose(((z - mean[edge]) * scale[edge]).T.reshape(1, 5, 50, 1), expected)
        for name, buffer in literal[edge].named_buffers():
            assert torch.allclose(folded[edge].get_buffer(name).double(), buffer.double()), name


def test_gradients_and_shared_rows() -> None:
    rows = torch.randn(1, 9, 3, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)

    def folded(rows: Tensor, matrix: Tensor) -> tuple[Tensor, ...]:
        moments: Moments = compute_row_moments(rows)
        return compute_batch_statistics(moments, matrix, norms(2, 2), RunningStatistics())

    assert torch.autograd.gradcheck(folded, [rows, matrix])
    assert torch.autograd.gradgradcheck(folded, [rows, matrix])


def test_running_statistics_in_evaluation() -> None:
    (norm,) = norms(1, 2)
    norm.running_mean, norm.running_var = torch.tensor([1.0, 2.0]), torch.tensor([4.0, 9.0])
    mean, scale = read_running_statistics([norm])
    assert mean.tolist() == [[1, 2]]
    assert torch.allclose(scale, torch.tensor([[0.5, 1 / 3]]), atol=1e-5)


def test_nothing_collected_changes_nothing() -> None:
    RunningStatistics().update()
