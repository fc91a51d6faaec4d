"""Architecture gradients."""

import pytest
import torch

from darts_lite.bilevel import first_order, frozen


def test_the_toy_of_the_paper() -> None:
    alpha = torch.tensor(2.0, requires_grad=True)
    weight = torch.tensor(-2.0, requires_grad=True)
    validation_loss = alpha * weight - 2 * alpha + 1
    assert first_order(validation_loss, [alpha])[0] == -4
    assert weight.grad is None


def test_a_loss_scale_cancels() -> None:
    alpha = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    plain = first_order(alpha.softmax(dim=-1).square().sum(), [alpha])[0]
    scaled = first_order(alpha.softmax(dim=-1).square().sum(), [alpha], scale=2.0**16)[0]
    assert torch.equal(plain, scaled)
    assert plain.abs().sum() > 0


def test_frozen_weights_are_constants_for_a_while() -> None:
    weights = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2), False)]
    with frozen(weights):
        assert not (weights[0] * 2).requires_grad
    assert [weight.requires_grad for weight in weights] == [True, False]
    with pytest.raises(RuntimeError, match="stop"), frozen(weights):
        raise RuntimeError("stop")
    assert weights[0].requires_grad
