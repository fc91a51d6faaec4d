"""Several processes that average what they compute."""

from pathlib import Path

import torch
from rank_helpers import on_all_ranks, own, values
from torch import Tensor

from darts_lite.distributed.ranks import Shard, average, own_shard, replicate


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
