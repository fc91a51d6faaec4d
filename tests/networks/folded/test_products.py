"""The two products, against their definitions."""

import torch
from torch import Tensor

from darts_lite.networks.folded.moments import to_map, to_rows
from darts_lite.networks.folded.products import Term, mix, pointwise_relu

SIZE = (2, 3, 2)


def doubles(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_pointwise_relu() -> None:
    rows, matrix, mean = doubles(3, 12, 4), doubles(3, 2, 4), doubles(3, 2)
    expected = (rows @ matrix.mT - mean.unsqueeze(1)).relu()
    assert torch.allclose(pointwise_relu(rows, matrix, mean, SIZE), to_map(expected, SIZE))

    def folded(rows: Tensor, matrix: Tensor, mean: Tensor) -> Tensor:
        return pointwise_relu(rows, matrix, mean, SIZE)

    assert torch.autograd.gradcheck(folded, [rows, matrix, mean])
    assert torch.autograd.gradgradcheck(folded, [rows, matrix, mean])


def test_mix_is_the_sum_of_its_terms_and_maps() -> None:
    own, shared = doubles(3, 12, 4), doubles(1, 12, 5)
    matrices, biases = (doubles(3, 2, 4), doubles(3, 2, 5)), (doubles(3, 2), doubles(3, 2))
    maps, shares = (doubles(2, 2, 3, 2), doubles(2, 2, 3, 2)), doubles(3, 2)
    inputs = (own, shared, *matrices, *biases, *maps, shares)

    def folded(
        a: Tensor, b: Tensor, p: Tensor, q: Tensor, c: Tensor, d: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        return mix([Term(a, p, c), Term(b, q, d)], rest[:2], rest[2], SIZE)

    edges = folded(*inputs)
    assert len(edges) == 3
    for edge, result in enumerate(edges):
        expected = own[edge] @ matrices[0][edge].T + shared[0] @ matrices[1][edge].T
        expected = expected + biases[0][edge] + biases[1][edge]
        for share, x in zip(shares[edge], maps, strict=True):
            expected = expected + share * to_rows(x, 1)[0]
        assert torch.allclose(to_rows(result, 1)[0], expected)
    assert torch.autograd.gradcheck(folded, inputs)
    assert torch.autograd.gradgradcheck(folded, inputs)


def test_maps_alone_and_terms_alone() -> None:
    x, term = doubles(2, 2, 3, 2), Term(doubles(1, 12, 2), doubles(1, 2, 2), doubles(1, 2))
    (alone,) = mix([], [x], torch.full((1, 1), 3.0, dtype=torch.float64), SIZE)
    assert torch.allclose(alone, 3 * x)
    (alone,) = mix([term], [], torch.empty(1, 0, dtype=torch.float64), SIZE)
    assert torch.allclose(to_rows(alone, 1), term.rows @ term.matrix.mT + term.bias.unsqueeze(1))
