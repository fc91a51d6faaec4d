"""Gradients of the outer problem of the bilevel search, as pure functions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def frozen(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Builds graphs in which these weights are constants.

    An architecture step under it neither computes nor keeps anything for a weight's gradient, in
    autograd functions written in Python as well, which would not see from
    `torch.autograd.grad(loss, alphas)` alone that nobody asks.
    """
    before = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight, required in zip(weights, before, strict=True):
            weight.requires_grad_(required)


def first_order(
    validation_loss: Tensor, alphas: Sequence[Tensor], scale: float = 1.0
) -> list[Tensor]:
    """Gradient of ``L_val(w, alpha)`` in the alphas at fixed weights.

    First-order DARTS (arXiv 1806.09055, section 2.3, xi = 0). Only the alphas' gradient is
    computed: no weight gradient of any convolution.

    Args:
        validation_loss: Scalar with a graph that reaches the alphas.
        alphas: Architecture parameters, ``(edges, candidates)`` each.
        scale: Loss scale of float16 training; the result is unscaled again.

    Returns:
        One gradient per entry of `alphas`, of its shape.
    """
    gradients = torch.autograd.grad(validation_loss * scale, list(alphas))
    return [gradient / scale for gradient in gradients]
