"""Gradients of the outer problem of the bilevel search, as pure functions.

The alphas' gradient is that of the validation loss at the weights as they are (`FirstOrder`), or as
the next step of their optimizer would leave them (`SecondOrder`). Losses are functions of the
weights; they reach the alphas through their graphs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

Loss = Callable[[Sequence[Tensor] | None], Tensor]
"""A scalar at other weights, in the order of `weights_of`, or at the present ones (None)."""


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
        """One gradient per entry of `alphas`, of its shape.

        Args:
            training_loss: What the weights minimise.
            validation_loss: What the alphas minimise.
            alphas: Architecture parameters, or anything between them and the losses.
            optimizer: That of the weights.
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
        """See `ArchitectureGradient`."""
        with frozen(weights_of(optimizer)):
            return gradients_of(validation_loss(None), alphas, scale)

    def check(self, optimizer: Optimizer) -> None:
        """Any optimizer will do."""


class SecondOrder:
    """Gradient of ``L_val(w'(alpha), alpha)``, w' being the weights after their next step.

    Second-order DARTS (arXiv 1806.09055, equation 7): with ``w' = w - step(L_train)``, the gradient
    at w' less the mixed second derivative of L_train in alpha and w, in the direction of what the
    step does with L_val's gradient at w'. The step is the optimizer's own, with momentum, weight
    decay, dampening and Nesterov's rule; the clipping of gradients is left out, as it is in the
    published code.

    The mixed derivative is exact, by differentiating the training gradient. The published code
    takes a difference of two first derivatives instead (equation 8), which needs less memory; among
    the kinks of ReLUs and poolings it can be far off (benchmarks/README.md, "Second order").

    Args:
        radius: For that difference: how far on either side of w, in the space of weights; the
            published one is 0.01. None is exact.

    Raises:
        ValueError: if the radius is not above 0.
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
        """See `ArchitectureGradient`."""
        here = [weight.detach().requires_grad_() for weight in weights_of(optimizer)]
        exact = self.radius is None
        training = gradients_of(training_loss(here), here, scale, create_graph=exact)
        ahead, rates = sgd_step(optimizer, [gradient.detach() for gradient in training])
        ahead = [weight.requires_grad_() for weight in ahead]
        gradients = gradients_of(validation_loss(ahead), [*alphas, *ahead], scale)
        direct, slopes = gradients[: len(alphas)], gradients[len(alphas) :]
        direction = [rate * slope for rate, slope in zip(rates, slopes, strict=True)]
        if self.radius is None:
            mixed = products(training, alphas, direction)
        else:
            mixed = difference(training_loss, alphas, here, direction, self.radius, scale)
        return [gradient - part for gradient, part in zip(direct, mixed, strict=True)]

    def check(self, optimizer: Optimizer) -> None:
        """The step of the weights must be SGD's, whose derivative is known.

        Raises:
            ValueError: if it is another optimizer, or SGD that maximizes.
        """
        if type(optimizer) is not SGD or any(g["maximize"] for g in optimizer.param_groups):
            raise ValueError(
                "second order unrolls a step of torch.optim.SGD that minimizes, got "
                f"{type(optimizer).__name__} for the weights; choose SGD or first order"
            )


def products(
    training: Sequence[Tensor], alphas: Sequence[Tensor], direction: Sequence[Tensor]
) -> Sequence[Tensor]:
    """The derivative of ``<training, direction>`` in each of the alphas.

    Gradients that depend on no alpha, as of weights that a draw left out, add nothing.
    """
    pairs = zip(training, direction, strict=True)
    dependent = [(gradient, way) for gradient, way in pairs if gradient.requires_grad]
    if not dependent:
        return [torch.zeros_like(alpha) for alpha in alphas]
    gradients, ways = zip(*dependent, strict=True)
    with as_recorded(gradients[0]):
        return torch.autograd.grad(gradients, list(alphas), ways, materialize_grads=True)


def difference(
    loss: Loss,
    alphas: Sequence[Tensor],
    weights: Sequence[Tensor],
    direction: Sequence[Tensor],
    radius: float,
    scale: float,
) -> tuple[Tensor, ...]:
    """Change of the loss's gradient in the alphas along a direction of the weights.

    Central difference at ``w +- radius * direction / |direction|``, times ``|direction|``
    (arXiv 1806.09055, equation 8).
    """
    wide = torch.promote_types(direction[0].dtype, torch.float32)
    length = torch.stack(torch._foreach_norm(list(direction), dtype=wide)).norm()
    epsilon = radius / length.clamp_min(torch.finfo(wide).tiny)

    def beside(sign: int) -> list[Tensor]:
        step = sign * epsilon
        moved = [w.detach() + step.to(w.dtype) * d for w, d in zip(weights, direction, strict=True)]
        return gradients_of(loss(moved), alphas, scale)

    pairs = zip(beside(1), beside(-1), strict=True)
    return tuple((above - below) / (2 * epsilon) for above, below in pairs)


def weights_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """All that an optimizer moves, group by group; frozen weights are none of it."""
    return [weight for weight, _ in _weights_and_groups(optimizer)]


def _weights_and_groups(optimizer: Optimizer) -> Iterator[tuple[nn.Parameter, dict[str, Any]]]:
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.requires_grad:
                yield weight, group


def sgd_step(optimizer: Optimizer, gradients: Sequence[Tensor]) -> tuple[list[Tensor], list[float]]:
    """The next step of SGD on these gradients, without taking it.

    Returns:
        Where it would take each weight, and how far for a change of the weight's gradient by -1.
    """
    weights, rates = [], []
    settings = _weights_and_groups(optimizer)
    for (weight, group), gradient in zip(settings, gradients, strict=True):
        step = gradient + group["weight_decay"] * weight.detach()
        share = 1.0  # of a change of the gradient that the step follows
        buffer = optimizer.state.get(weight, {}).get("momentum_buffer")
        average = step
        if buffer is not None:
            share = 1 - group["dampening"]
            average = group["momentum"] * buffer + share * step
        if group["nesterov"]:
            share = 1 + group["momentum"] * share
            average = step + group["momentum"] * average
        weights.append(weight.detach() - group["lr"] * average)
        rates.append(group["lr"] * share)
    return weights, rates


def gradients_of(
    loss: Tensor, inputs: Sequence[Tensor], scale: float = 1.0, create_graph: bool = False
) -> list[Tensor]:
    """Gradients of a scalar, computed at a loss scale and unscaled again.

    They are 0 where the scalar depends on none of the inputs, as where every drawn candidate is
    ``none``.
    """
    if not loss.requires_grad:
        return [torch.zeros_like(given) for given in inputs]
    with as_recorded(loss):
        gradients = torch.autograd.grad(
            loss * scale, list(inputs), create_graph=create_graph, materialize_grads=True
        )
        return [gradient / scale for gradient in gradients]


def as_recorded(loss: Tensor) -> torch.autocast:
    """For going back through a graph: what was computed in 32 bits is so on the way back, too.

    A training step is run under autocast as a whole, which is meant for the way forward; products
    in backward functions written in Python would lose their bits there.
    """
    return torch.autocast(loss.device.type, enabled=False)


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
