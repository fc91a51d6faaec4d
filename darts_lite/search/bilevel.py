"""Gradients of the outer problem of the bilevel search, as pure functions.

The gradient of the alphas is the gradient of the validation loss at the present weights
(`FirstOrder`), or at the weights that the next step of their optimizer would give (`SecondOrder`).
Losses are functions of the weights; they depend on the alphas through their graphs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

Loss = Callable[[Sequence[Tensor] | None], Tensor]
"""A scalar at other weights, in the order of `list_weights`, or at the present ones (None)."""


class ArchitectureGradient(Protocol):
    """Computes the gradient of the outer problem."""

    def __call__(
        self,
        training_loss: Loss,
        validation_loss: Loss,
        alphas: Sequence[Tensor],
        optimizer: Optimizer,
        scale: float,
    ) -> list[Tensor]:
        """Computes one gradient per entry of `alphas`, of its shape.

        Args:
            alphas: Architecture parameters, or anything between them and the losses.
            optimizer: The optimizer of the weights.
            scale: Loss scale of float16 training; the result is unscaled again.
        """
        ...

    def check(self, optimizer: Optimizer) -> None:
        """Raises a ValueError if the gradient is not defined for this optimizer of the weights."""
        ...


class FirstOrder:
    """Gradient of ``L_val(w, alpha)`` at fixed weights.

    First-order DARTS (arXiv 1806.09055, section 2.3, xi = 0). Only the alphas' gradient is
    computed: no weight gradient of any convolution.
    """

    def __call__(
        self,
        training_loss: Loss,
        validation_loss: Loss,
        alphas: Sequence[Tensor],
        optimizer: Optimizer,
        scale: float = 1.0,
    ) -> list[Tensor]:
        with frozen(list_weights(optimizer)):
            return gradients_of(validation_loss(None), alphas, scale)

    def check(self, optimizer: Optimizer) -> None:
        """Accepts any optimizer."""


class SecondOrder:
    """Gradient of ``L_val(w'(alpha), alpha)``, w' being the weights after their next step.

    Second-order DARTS (arXiv 1806.09055, equation 7), with ``w' = w - step(L_train)``: the gradient
    at w', less the mixed second derivative of L_train in alpha and w in the direction of the step
    applied to L_val's gradient at w'. The step is the optimizer's own, with momentum, weight decay,
    dampening and Nesterov's rule; like the published code it leaves out gradient clipping.

    The mixed derivative is exact: the training gradient is differentiated. The published code takes
    a difference of two first derivatives instead (equation 8), which needs less memory; near the
    kinks of ReLUs and poolings it can be far off (docs/benchmarks/methods.md, "Second order").

    Args:
        radius: Distance on either side of w for that difference, in the space of weights; the
            published value is 0.01. None computes the exact derivative.
    """

    def __init__(self, radius: float | None = None) -> None:
        if radius is not None and not radius > 0:
            raise ValueError(f"the radius of second order must be above 0 or null, got {radius}")
        self.radius = radius

    def __call__(
        self,
        training_loss: Loss,
        validation_loss: Loss,
        alphas: Sequence[Tensor],
        optimizer: Optimizer,
        scale: float = 1.0,
    ) -> list[Tensor]:
        # g = dL_train/dw at w; one tensor of the weight's shape per weight, here and below.
        here = [weight.detach().requires_grad_() for weight in list_weights(optimizer)]
        exact = self.radius is None
        training = gradients_of(training_loss(here), here, scale, create_graph=exact)
        # w' = w - step(g), and the rate r = -dw'/dg of each weight, a number.
        ahead, rates = predict_sgd_step(optimizer, [gradient.detach() for gradient in training])
        ahead = [weight.requires_grad_() for weight in ahead]
        # dL_val/dalpha and v = dL_val/dw' at w', by one backward pass.
        gradients = gradients_of(validation_loss(ahead), [*alphas, *ahead], scale)
        direct, slopes = gradients[: len(alphas)], gradients[len(alphas) :]
        # Chain rule: dL_val/dalpha - d<g, r v>/dalpha, the second term with r v as a constant.
        direction = [rate * slope for rate, slope in zip(rates, slopes, strict=True)]
        if self.radius is None:
            mixed = differentiate_product(training, alphas, direction)
        else:
            mixed = central_difference(training_loss, alphas, here, direction, self.radius, scale)
        return [gradient - part for gradient, part in zip(direct, mixed, strict=True)]

    def check(self, optimizer: Optimizer) -> None:
        """Accepts only SGD that minimizes, whose step has a known derivative."""
        if type(optimizer) is not SGD or any(g["maximize"] for g in optimizer.param_groups):
            raise ValueError(
                "second order unrolls a step of torch.optim.SGD that minimizes, got "
                f"{type(optimizer).__name__} for the weights; choose SGD or first order"
            )


def differentiate_product(
    training: Sequence[Tensor], alphas: Sequence[Tensor], direction: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Computes the derivative of ``<training, direction>`` in each of the alphas.

    Gradients that depend on no alpha, as of weights that a draw left out, add nothing.
    """
    # Pairs of g and r v, each of its weight's shape, whose g has a graph.
    pairs = zip(training, direction, strict=True)
    dependent = [(gradient, way) for gradient, way in pairs if gradient.requires_grad]
    if not dependent:
        return [torch.zeros_like(alpha) for alpha in alphas]
    gradients, ways = zip(*dependent, strict=True)
    with without_autocast(gradients[0]):
        return torch.autograd.grad(gradients, list(alphas), ways, materialize_grads=True)


def central_difference(
    loss: Loss,
    alphas: Sequence[Tensor],
    weights: Sequence[Tensor],
    direction: Sequence[Tensor],
    radius: float,
    scale: float,
) -> tuple[Tensor, ...]:
    """Computes the change of the loss's gradient in the alphas along a direction of the weights.

    Central difference at ``w +- radius * direction / |direction|``, times ``|direction|``
    (arXiv 1806.09055, equation 8).
    """
    # epsilon = radius / |direction|, with the norm over all weights together in float32 or wider.
    wide = torch.promote_types(direction[0].dtype, torch.float32)
    length = torch.stack(torch._foreach_norm(list(direction), dtype=wide)).norm()
    epsilon = radius / length.clamp_min(torch.finfo(wide).tiny)

    def compute_gradients(sign: int) -> list[Tensor]:
        # dL/dalpha at w +- epsilon * direction.
        step = sign * epsilon
        moved = [w.detach() + step.to(w.dtype) * d for w, d in zip(weights, direction, strict=True)]
        return gradients_of(loss(moved), alphas, scale)

    pairs = zip(compute_gradients(1), compute_gradients(-1), strict=True)
    return tuple((above - below) / (2 * epsilon) for above, below in pairs)


def list_weights(optimizer: Optimizer) -> list[nn.Parameter]:
    """Returns the parameters of an optimizer, group by group, without frozen ones."""
    parameters = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    return [parameter for parameter in parameters if parameter.requires_grad]


def predict_sgd_step(
    optimizer: Optimizer, gradients: Sequence[Tensor]
) -> tuple[list[Tensor], list[float]]:
    """Computes each weight after SGD's next step, and its move if its gradient changed by -1."""
    weights, rates = [], []
    groups = {weight: group for group in optimizer.param_groups for weight in group["params"]}
    for weight, gradient in zip(list_weights(optimizer), gradients, strict=True):
        group = groups[weight]
        # All tensors have the weight's shape. Weight decay: d = g + lambda w.
        step = gradient + group["weight_decay"] * weight.detach()
        share = 1.0  # derivative of the step in g
        # Momentum: b = mu b + (1 - dampening) d; torch's first step takes b = d.
        buffer = optimizer.state.get(weight, {}).get("momentum_buffer")
        average = step
        if buffer is not None:
            share = 1 - group["dampening"]
            average = group["momentum"] * buffer + share * step
        # Nesterov: d + mu b in place of b.
        if group["nesterov"]:
            share = 1 + group["momentum"] * share
            average = step + group["momentum"] * average
        weights.append(weight.detach() - group["lr"] * average)
        rates.append(group["lr"] * share)
    return weights, rates


def gradients_of(
    loss: Tensor, inputs: Sequence[Tensor], scale: float = 1.0, create_graph: bool = False
) -> list[Tensor]:
    """Computes the gradients of a scalar at a loss scale, and unscales them again.

    They are 0 if the scalar depends on none of the inputs, for instance if every drawn candidate is
    ``none``.
    """
    if not loss.requires_grad:
        return [torch.zeros_like(given) for given in inputs]
    with without_autocast(loss):
        gradients = torch.autograd.grad(
            loss * scale, list(inputs), create_graph=create_graph, materialize_grads=True
        )
        return [gradient / scale for gradient in gradients]


def without_autocast(loss: Tensor) -> torch.autocast:
    """Returns a context for a backward pass, which computes in the precision of its forward pass.

    A training step runs under autocast as a whole, which is meant for the forward pass; products in
    backward functions written in Python would lose precision there.
    """
    return torch.autocast(loss.device.type, enabled=False)


@contextmanager
def frozen(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Builds graphs in which these weights are constants.

    An architecture step inside it neither computes nor keeps anything for a weight's gradient. This
    holds in autograd functions written in Python too, which cannot tell from
    `torch.autograd.grad(loss, alphas)` that the weights' gradients are not needed.
    """
    before = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight, required in zip(weights, before, strict=True):
            weight.requires_grad_(required)
