"""Discrete cells, and what they take over from mixed ones."""

import pytest
import torch
from torch import nn

from darts_lite.derivation.rules import derive
from darts_lite.networks.cells.discrete import _copy_weights
from darts_lite.networks.net import Net
from darts_lite.networks.supernet import Supernet
from darts_lite.space.cells.architecture import ARCHITECTURES
from darts_lite.space.cells.search_space import SearchSpace, darts_space, mnist_space


def trained_like(space: SearchSpace) -> Supernet:
    """A supernet whose norms have seen data."""
    torch.manual_seed(1)
    supernet = Supernet(space, 1, 10)
    shares = {kind: alpha.softmax(dim=-1) for kind, alpha in supernet.alphas.items()}
    supernet(torch.randn(8, 1, 14, 14), shares)
    return supernet.eval()


def test_an_inherited_net_computes_what_the_decided_supernet_computes() -> None:
    supernet = trained_like(mnist_space(channels=4))
    shares = {kind: torch.rand_like(a).softmax(dim=-1) for kind, a in supernet.alphas.items()}
    architecture = derive(supernet.space, shares, {})
    net = Net(architecture, 1, 10).eval()
    net.inherit(supernet)
    images = torch.randn(5, 1, 14, 14)
    expected = supernet(images, supernet.space.path(architecture))
    assert torch.allclose(net(images), expected, atol=1e-5)


def test_a_net_is_its_operations_one_by_one() -> None:
    torch.manual_seed(0)
    architecture = ARCHITECTURES["DARTS_V2"].with_skeleton(channels=4, cells=4)
    net = Net(architecture, 1, 10).double()
    images = torch.randn(3, 1, 16, 16, dtype=torch.float64)
    skeleton = net.skeleton
    before_last = last = skeleton.stem(images)
    for cell in skeleton.cells:
        states = [cell.inputs.before_last(before_last), cell.inputs.last(last)]
        for node in cell.nodes:
            edges = zip(node.operations, node.kept, strict=True)
            states.append(sum(operation(states[source]) for operation, (_, source) in edges))
        before_last, last = last, torch.cat([states[i] for i in cell.concat], dim=1)
    expected = skeleton.classifier(last.mean(dim=(2, 3)))
    assert torch.allclose(net(images), expected, rtol=1e-12)


def test_another_skeleton_cannot_inherit() -> None:
    supernet = trained_like(mnist_space(channels=4))
    architecture = derive(supernet.space, dict(supernet.alphas.items()), {})
    with pytest.raises(ValueError, match="net has channels 8, the supernet 4") as error:
        Net(architecture.in_skeleton({"channels": 8}), 1, 10).inherit(supernet)
    assert "\n" not in str(error.value)


def test_a_cell_of_another_space_cannot_inherit() -> None:
    candidates = ("skip_connect", "dw_conv_3x3")
    space = SearchSpace(candidates, nodes=4, channels=4, cells=3, name="small")
    supernet, skeleton = trained_like(space), space.skeleton
    foreign = ARCHITECTURES["DARTS_V2"].with_skeleton(
        skeleton.channels, skeleton.cells, skeleton.reduction_cells, skeleton.stem
    )
    with pytest.raises(ValueError, match="does not come from the space 'small'"):
        Net(foreign, 1, 10).inherit(supernet)


def test_weights_of_another_module_are_refused() -> None:
    with pytest.raises(ValueError, match="the net and the supernet differ in bias, weight; train"):
        _copy_weights(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(ValueError, match="the net and the supernet differ in weight; train"):
        _copy_weights(nn.ReLU(), nn.Conv2d(1, 1, 1, bias=False))
    _copy_weights(nn.BatchNorm2d(2), nn.BatchNorm2d(2, affine=False))


def test_norms_of_the_net_scale_and_shift_but_pools_do_not() -> None:
    net = Net(ARCHITECTURES["DARTS_V2"].with_skeleton(channels=2, cells=2), 1, 10)
    pools = [m for m in net.modules() if isinstance(m, nn.Sequential) and len(m) == 2]
    after_pools = [m[1] for m in pools if isinstance(m[0], nn.MaxPool2d)]
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert after_pools
    assert all(norm.affine != (norm in after_pools) for norm in norms)


def test_weights_of_a_part_of_the_channels_are_refused() -> None:
    space = darts_space(channels=4, cells=3, nodes=2)
    supernet = Supernet(space, 1, 10, partial_channels=2)
    shares = {kind: alpha.softmax(dim=-1).detach() for kind, alpha in supernet.alphas.items()}
    with pytest.raises(ValueError, match="searched on 1 of 2 channels; train from scratch"):
        Net(derive(space, shares, {}), 1, 10).inherit(supernet)
