"""Gradients of the outer problem of the bilevel search, as pure functions."""

from collections.abc import Sequence

import torch
from torch import Tensor


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
