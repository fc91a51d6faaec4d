"""Norms and statistics of several ranks are those of their joint batch."""

from pathlib import Path
from typing import Any

import torch
from rank_helpers import RANKS, on_all_ranks, own, values
from torch import Tensor, nn

from darts_lite.distributed.batch_norm import JointBatchNorm2d, join_norms, join_statistics
from darts_lite.distributed.ranks import average_gradients


def trained_norm() -> dict[str, Tensor]:
    norm = JointBatchNorm2d(3).double()
    x, target = own(3 + 2 * values(8, 3, 4, 5)), own(values(8, 3, 4, 5).flip(0))
    optimizer = torch.optim.SGD(norm.parameters(), lr=0.1)
    for _ in range(3):
        loss = (norm(x) - target).pow(4).mean()
        optimizer.zero_grad()
        loss.backward()
        average_gradients(norm.parameters())
        optimizer.step()
    return {"y": norm(x), **norm.state_dict()}


def test_norms_see_the_joint_batch(tmp_path: Path) -> None:
    whole = trained_norm()
    for rank, found in enumerate(on_all_ranks(tmp_path, trained_norm)):
        for name, value in whole.items():
            expected = value[rank::RANKS] if name == "y" else value
            torch.testing.assert_close(found[name], expected, rtol=1e-12, atol=1e-12)


def test_a_single_norm_is_torchs() -> None:
    ours, torchs = JointBatchNorm2d(3), nn.BatchNorm2d(3)
    x = values(4, 3, 5, 5).float()
    assert torch.equal(ours(x), torchs(x))
    assert torch.equal(ours.eval()(x), torchs.eval()(x))


def joint_statistics() -> list[Tensor]:
    rows = own(values(10, 3))
    mean, centred = rows.mean(dim=0), rows - rows.mean(dim=0)
    return [
        *join_statistics(mean, centred.T @ centred / len(rows)),
        join_statistics(mean, rows.var(0, correction=0))[1],
    ]


def test_statistics_are_joined(tmp_path: Path) -> None:
    for found in on_all_ranks(tmp_path, joint_statistics):
        torch.testing.assert_close(found, joint_statistics(), rtol=1e-12, atol=1e-14)


def evaluated_statistics() -> list[Tensor]:
    with torch.no_grad():
        return joint_statistics()


def test_nobody_waits_where_nothing_is_trained(tmp_path: Path) -> None:
    first, second = on_all_ranks(tmp_path, evaluated_statistics)
    assert not torch.allclose(first[0], second[0])


def test_the_norms_of_a_network_are_joined_with_their_state() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Sequential(nn.BatchNorm2d(3, momentum=0.3)))
    x = torch.randn(4, 1, 6, 6)
    net(x)
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    wanted = net.eval()(x)
    joined: Any = join_norms(net)
    assert type(joined[1][0]) is JointBatchNorm2d and joined[1][0].momentum == 0.3
    assert torch.equal(joined(x), wanted)
    assert all(torch.equal(value, expected[name]) for name, value in joined.state_dict().items())
