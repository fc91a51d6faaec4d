"""Architecture gradients."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from run_helpers import some_digits
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, interpolate

from darts_lite.networks.cells.mixed import Executor, Literal
from darts_lite.networks.cells.sampled import Sampled
from darts_lite.networks.folded.executor import Folded
from darts_lite.networks.supernet import Supernet
from darts_lite.search.bilevel import (
    ArchitectureGradient,
    FirstOrder,
    Loss,
    SecondOrder,
    frozen,
    list_weights,
    predict_sgd_step,
)
from darts_lite.search.supernet_loss import SupernetLoss
from darts_lite.space.cells.search_space import darts_space, nasbench201_space


def toy(dtype: torch.dtype = torch.float64) -> tuple[Tensor, nn.Parameter, Loss, Loss]:
    """Alpha, weight, and losses of the weight, of the toy of arXiv 1806.09055, section 3.3."""
    alpha = torch.tensor(2.0, dtype=dtype, requires_grad=True)
    weight = nn.Parameter(torch.tensor(-2.0, dtype=dtype))

    def training_loss(weights: Sequence[Tensor] | None) -> Tensor:
        (w,) = weights or [weight]
        return w**2 - 2 * alpha * w + alpha**2

    def validation_loss(weights: Sequence[Tensor] | None) -> Tensor:
        (w,) = weights or [weight]
        return alpha * w - 2 * alpha + 1

    return alpha, weight, training_loss, validation_loss


@pytest.mark.parametrize("scale", [1.0, 2.0**16])
def test_the_toy_of_the_paper(scale: float) -> None:
    alpha, weight, training_loss, validation_loss = toy()
    optimizer = torch.optim.SGD([weight], lr=0.5)
    (first,) = FirstOrder()(training_loss, validation_loss, [alpha], optimizer, scale)
    assert first == pytest.approx(-4)
    for radius in (None, 0.01):
        (second,) = SecondOrder(radius)(training_loss, validation_loss, [alpha], optimizer, scale)
        assert second == pytest.approx(2)
    assert weight.grad is None and alpha.grad is None and weight == -2


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9, "dampening": 0.3},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ],
)
@pytest.mark.parametrize("steps_before", [0, 2])
def test_the_step_is_the_optimizers_own(settings: dict[str, Any], steps_before: int) -> None:
    weights = [nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(2, 2))]
    groups: list[dict[str, Any]] = [{"params": weights[:1], "lr": 0.3}, {"params": weights[1:]}]
    optimizer = torch.optim.SGD(groups, lr=0.1, **settings)
    for _ in range(steps_before):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        optimizer.step()
    gradients = [torch.randn_like(weight) for weight in weights]
    ahead, rates = predict_sgd_step(optimizer, gradients)
    moved, _ = predict_sgd_step(optimizer, [gradient + 1 for gradient in gradients])
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.clone()
    optimizer.step()
    for weight, found, other, rate in zip(weights, ahead, moved, rates, strict=True):
        assert torch.allclose(found, weight)
        assert torch.allclose(other, found - rate, atol=1e-5)


SGD_SETTINGS: dict[str, Any] = {"lr": 0.025, "momentum": 0.9, "weight_decay": 3e-4}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("radius", [None, 1e-6])
@pytest.mark.parametrize("executor", [Literal(), Folded()], ids=["literal", "folded"])
def test_second_order_is_the_derivative_through_the_unrolled_step(
    executor: Executor, radius: float | None, nesterov: bool
) -> None:
    torch.manual_seed(0)
    space = darts_space(channels=4, cells=2, nodes=2)
    supernet = Supernet(space, 1, 10, executor).double()
    optimizer = torch.optim.SGD(supernet.weights(), **SGD_SETTINGS, nesterov=nesterov)
    images, labels = some_digits()
    x = interpolate(images[:16].unsqueeze(1).double() / 255, (8, 8), mode="bilinear")
    y = labels[:16].long()
    alphas = [nn.init.normal_(alpha) for alpha in supernet.alphas.values()]

    def mixing() -> dict[str, Tensor]:
        return {kind: alpha.softmax(dim=-1) for kind, alpha in supernet.alphas.items()}

    for _ in range(2):  # so that there is momentum
        optimizer.zero_grad()
        cross_entropy(supernet(x[:8], mixing()), y[:8]).backward()
        optimizer.step()
    statistics = [buffer.clone() for buffer in supernet.buffers()]

    def loss(part: slice) -> Loss:
        def of_weights(weights: Sequence[Tensor] | None) -> Tensor:
            return SupernetLoss(supernet, x[part], y[part], mixing(), list_weights(optimizer))(
                weights
            )

        return of_weights

    found = SecondOrder(radius)(loss(slice(8)), loss(slice(8, 16)), alphas, optimizer)
    assert all(
        torch.equal(now, before) for now, before in zip(supernet.buffers(), statistics, strict=True)
    )

    names = [name for name, _ in supernet.skeleton.named_parameters()]
    weights = [weight.detach().requires_grad_() for weight in supernet.weights()]

    def exact_loss(weights: Sequence[Tensor], part: slice) -> Tensor:
        state = {f"skeleton.{name}": w for name, w in zip(names, weights, strict=True)}
        state |= {name: buffer.clone() for name, buffer in supernet.named_buffers()}
        return cross_entropy(functional_call(supernet, state, (x[part], mixing())), y[part])

    gradients = torch.autograd.grad(exact_loss(weights, slice(8)), weights, create_graph=True)
    ahead, _ = predict_sgd_step(optimizer, gradients)
    expected = torch.autograd.grad(exact_loss(ahead, slice(8, 16)), alphas)
    direct = FirstOrder()(loss(slice(8)), loss(slice(8, 16)), alphas, optimizer)
    for a, b, first in zip(found, expected, direct, strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-4
        assert float((first - b).norm() / b.norm()) > 1e-2  # it is not what first order gives


def test_frozen_weights_are_constants_for_a_while() -> None:
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2), False)]
    with frozen(weights):
        assert not (weights[0] * 2).requires_grad
    assert [weight.requires_grad for weight in weights] == [True, False]
    with pytest.raises(RuntimeError, match="stop"), frozen(weights):
        raise RuntimeError("stop")
    assert weights[0].requires_grad


def test_only_sgd_is_unrolled() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    SecondOrder().check(torch.optim.SGD(weights, lr=0.1))
    FirstOrder().check(torch.optim.Adam(weights))
    for optimizer in (torch.optim.Adam(weights), torch.optim.SGD(weights, lr=0.1, maximize=True)):
        with pytest.raises(ValueError, match="second order unrolls a step"):
            SecondOrder().check(optimizer)
    with pytest.raises(ValueError, match="above 0"):
        SecondOrder(radius=0)


@pytest.mark.parametrize("gradient", [FirstOrder(), SecondOrder(), SecondOrder(0.01)])
@pytest.mark.parametrize("candidate", ["none", "skip_connect", "conv_1x1"])
def test_a_draw_that_leaves_weights_or_even_everything_out(
    gradient: ArchitectureGradient, candidate: str
) -> None:
    torch.manual_seed(0)
    space = nasbench201_space(channels=4, cells=3)
    supernet = Supernet(space, 1, 10, Sampled())
    mixing = torch.zeros(6, len(space.candidates))
    mixing[:, space.candidates.index(candidate)] = 1
    drawn = {"normal": mixing.requires_grad_()}
    optimizer = torch.optim.SGD(supernet.weights(), lr=0.1, momentum=0.9)
    images, labels = some_digits()
    x, y = images[:16].unsqueeze(1).float() / 255, labels[:16].long()
    training, validation = (
        SupernetLoss(supernet, x[part], y[part], drawn, list_weights(optimizer))
        for part in (slice(8), slice(8, 16))
    )
    (found,) = gradient(training, validation, [mixing], optimizer, 1.0)
    used = found.abs().sum(dim=0).nonzero().flatten().tolist()
    assert used == ([] if candidate == "none" else [space.candidates.index(candidate)])
