"""A net of a play-off and what it has reached."""

import math

import torch

from darts_lite.search.playoff.contenders import Contender
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.training.class_loss import ClassLoss

SPACE = LayerSpace(stages=(1,), placements=("stem 1",))


def test_it_is_judged_by_the_mean_loss_since_its_heat_began() -> None:
    torch.manual_seed(0)
    contender = Contender(SPACE.first_architecture(), "random", 1, 10)
    images, labels, loss = torch.randn(8, 1, 28, 28), torch.arange(8), ClassLoss(10)
    assert contender.value == -math.inf
    losses = []
    for part in (images, images.flip(3)):
        losses.append(loss(contender.net(part), labels).item())
        contender.hear(part, labels, loss)
    assert abs(contender.value + sum(losses) / 2) < 1e-6
    contender.enter()
    assert contender.running and contender.value == -math.inf
    contender.hear(images * math.nan, labels, loss)
    assert contender.value == -math.inf  # it is below every other net


def test_what_is_kept_beside_its_weights_is_plain() -> None:
    contender = Contender(SPACE.first_architecture(), "separable, changed", 1, 10)
    about = contender.describe()
    assert about["origin"] == "separable, changed" and about["running"] is False
    assert about["architecture"] == SPACE.first_architecture().to_dict()
    assert all(weight.requires_grad for weight in contender.weights())
