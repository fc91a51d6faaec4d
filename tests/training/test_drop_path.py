"""Dropped branches."""

import torch

from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import ARCHITECTURES
from darts_lite.training.drop_path import DropPath


def test_drop_path_zeroes_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropPath()
    x = torch.ones(4000, 2, 3, 3)
    assert torch.equal(drop(x), x)
    drop.rate = 0.25
    out = drop(x)
    kept = out.flatten(1).amax(dim=1)
    assert torch.allclose(out.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert (out.flatten(1) == kept[:, None]).all()
    assert abs(float(out.mean()) - 1) < 0.03
    assert torch.equal(drop.eval()(x), x)


def test_drop_path_reaches_every_node_and_has_a_gradient() -> None:
    net = Net(ARCHITECTURES["DARTS_V2"].with_skeleton(channels=2, cells=2), 1, 10)
    net.set_drop_path(0.5)
    drops = [module for module in net.modules() if isinstance(module, DropPath)]
    assert len(drops) == 8
    assert all(drop.rate == 0.5 for drop in drops)
    net(torch.randn(4, 1, 16, 16)).sum().backward()
