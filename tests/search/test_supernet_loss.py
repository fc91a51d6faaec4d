"""A supernet's loss as a function of its weights."""

import pytest
import torch
from run_helpers import SMALL, some_digits
from torch.nn.functional import cross_entropy

from darts_lite.networks.folded.executor import Folded
from darts_lite.networks.supernet import Supernet
from darts_lite.search.supernet_loss import SupernetLoss, evaluate


def test_other_weights_leave_no_trace() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SMALL, 1, 10, Folded())
    images, labels = some_digits()
    x, y = images[:8].unsqueeze(1) / 255, labels[:8].long()
    mixing = {kind: alpha.softmax(dim=-1).detach() for kind, alpha in supernet.alphas.items()}
    order = list(reversed(supernet.weights()))
    loss = SupernetLoss(supernet, x, y, mixing, order)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    same = loss([weight.detach().clone() for weight in order])
    moved = [(1.5 * weight.detach()).requires_grad_() for weight in order]
    other = loss(moved)
    assert loss.logits.shape == (8, 10) and loss.value == other
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())
    slopes = torch.autograd.grad(other, moved, materialize_grads=True)
    assert sum(bool(slope.any()) for slope in slopes) > len(slopes) / 2
    assert not any(weight.grad is not None for weight in supernet.weights())
    assert torch.allclose(same, loss(None)) and not torch.allclose(same, other)
    assert any(not torch.equal(before[k], v) for k, v in supernet.state_dict().items())


def test_an_evaluation_uses_the_batch_statistics_and_changes_nothing() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SMALL, 1, 10, Folded()).eval()
    images, labels = some_digits()
    x, y = images[:40].unsqueeze(1) / 255, labels[:40].long()
    mixing = {kind: alpha.softmax(dim=-1).detach() for kind, alpha in supernet.alphas.items()}
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    loss, accuracy = evaluate(supernet, mixing, [(x, y)])
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())
    assert not supernet.training
    logits = supernet.train()(x, mixing).detach()
    assert loss == pytest.approx(float(cross_entropy(logits, y)), rel=1e-5)
    assert accuracy == pytest.approx(float((logits.argmax(dim=1) == y).float().mean()))
