"""Several processes that average what they compute."""

from pathlib import Path
from typing import Any

import torch
from rank_helpers import on_all_ranks, own, values
from torch import Tensor

from darts_lite.distributed.ranks import Shard, average, own_shard, replicate
from darts_lite.retraining.retraining import Retraining


def test_one_process_has_all_of_a_batch() -> None:
    assert own_shard() == Shard(0, 1)
    x = torch.ones(3)
    assert average(x)[0] is x and replicate(x)[0] is x


def test_draws_are_those_of_the_joint_batch() -> None:
    torch.manual_seed(3)
    whole = Shard().local_random(lambda n: torch.rand(n, 2), 6)
    for rank in range(3):
        torch.manual_seed(3)
        shard = Shard(rank, 3).local_random(lambda n: torch.rand(n, 2), 2)
        assert torch.equal(shard, whole[rank::3])


def third_derivative() -> list[Tensor]:
    """Derivatives of the mean over the joint batch of (x w)^4, and of a power of that mean."""
    x = own(values(6))
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (inside,) = replicate(weight)
    (mean,) = average((x * inside).pow(4).mean())
    result: list[Tensor] = [mean]
    for _ in range(3):
        (slope,) = torch.autograd.grad(result[-1], weight, create_graph=True)
        result.append(slope)
    (of_mean,) = torch.autograd.grad(mean.square(), weight)
    return [value.detach() for value in [*result, of_mean]]


def test_gradients_of_any_order_are_those_of_the_joint_batch(tmp_path: Path) -> None:
    for found in on_all_ranks(tmp_path, third_derivative):
        torch.testing.assert_close(found, third_derivative(), rtol=1e-12, atol=0)


@torch.no_grad()
def log_loss() -> Tensor:
    """The loss that a retraining logs of five images, of which two ranks have three and two."""
    torch.manual_seed(0)
    model = Retraining("DARTS_V2", channels=2, cells=3)
    logged: dict[str, Any] = {}
    model.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign]
    images, labels = own(values(5, 1, 28, 28)).float(), own(torch.arange(5))
    model.eval().test_step((images, labels), 0)
    loss: Tensor = logged["test/loss"].compute()
    return loss


def test_losses_count_each_image_alike_where_ranks_have_unlike_numbers(tmp_path: Path) -> None:
    joint, other = on_all_ranks(tmp_path, log_loss)
    assert torch.equal(joint, other)
    torch.testing.assert_close(joint, log_loss())
