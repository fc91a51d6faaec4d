"""The discrete network."""

import pytest
import torch
from torch import nn

from darts_lite.derivation.rules import derive
from darts_lite.networks.net import DropPath, Net, _copy_weights
from darts_lite.networks.supernet import Supernet
from darts_lite.space.architecture import ARCHITECTURES, Architecture
from darts_lite.space.search_space import SearchSpace, darts_space, mnist_space


def test_published_parameter_counts() -> None:
    architecture = ARCHITECTURES["DARTS_V2"].with_skeleton(channels=36, cells=20)
    plain = Net(architecture, in_channels=3, num_classes=10)
    assert sum(p.numel() for p in plain.parameters()) == 3_349_342
    auxiliary = Net(architecture, in_channels=3, num_classes=10, auxiliary=True)
    assert sum(p.numel() for p in auxiliary.parameters()) == 3_825_768


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("size", [(32, 32), (27, 29)])
def test_published_architectures_run_on_any_size(name: str, size: tuple[int, int]) -> None:
    net = Net(ARCHITECTURES[name].with_skeleton(channels=4, cells=4), 1, 10, auxiliary=True)
    logits, auxiliary = net.forward_auxiliary(torch.randn(3, 1, *size))
    assert logits.shape == (3, 10)
    assert auxiliary is not None
    assert auxiliary.shape == (3, 10)
    logits.sum().backward()
    assert all(p.grad is not None for n, p in net.named_parameters() if "auxiliary_head" not in n)


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


def trained_like(space: SearchSpace) -> Supernet:
    """A supernet whose norms have seen data."""
    torch.manual_seed(1)
    supernet = Supernet(space, 1, 10)
    shares = {kind: alpha.softmax(dim=-1) for kind, alpha in supernet.alphas.items()}
    supernet(torch.randn(8, 1, 14, 14), shares)
    return supernet.eval()


def decided(supernet: Supernet, architecture: Architecture) -> dict[str, torch.Tensor]:
    """Mixing weights that select exactly the architecture's edges."""
    space, mixing = supernet.space, {}
    for kind, nodes in architecture.cells.items():
        rows = []
        for edges, kept in zip(space.edges_per_node, nodes, strict=True):
            block = torch.zeros(edges, len(space.candidates))
            for name, source in kept:
                block[source, space.candidates.index(name)] = 1
            rows.append(block)
        mixing[kind] = torch.cat(rows)
    return mixing


def test_an_inherited_net_computes_what_the_decided_supernet_computes() -> None:
    supernet = trained_like(mnist_space(channels=4))
    shares = {kind: torch.rand_like(a).softmax(dim=-1) for kind, a in supernet.alphas.items()}
    architecture = derive(supernet.space, shares, {})
    net = Net(architecture, 1, 10).eval()
    net.inherit(supernet)
    images = torch.randn(5, 1, 14, 14)
    expected = supernet(images, decided(supernet, architecture))
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
        Net(architecture.with_skeleton(channels=8), 1, 10).inherit(supernet)
    assert "\n" not in str(error.value)


def test_a_cell_of_another_space_cannot_inherit() -> None:
    candidates = ("skip_connect", "dw_conv_3x3")
    supernet = trained_like(SearchSpace(candidates, nodes=4, channels=4, cells=3, name="small"))
    skeleton = supernet.space.skeleton
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


NASBENCH201 = {
    "index 6111": (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
        "|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
        1_073_466,
    ),
    "3x3 everywhere": (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
        "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        1_531_546,
    ),
    "skips everywhere": (
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+"
        "|skip_connect~0|skip_connect~1|skip_connect~2|",
        73_306,
    ),
    "nothing": ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306),
    "pools and 1x1": (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|avg_pool_3x3~1|skip_connect~2|",
        73_306 + 5 * (16 * 16 + 32 * 32 + 64 * 64) + 5 * 2 * (16 + 32 + 64),
    ),
}


@pytest.mark.parametrize("name", NASBENCH201)
def test_the_parameters_of_nasbench201(name: str) -> None:
    text, expected = NASBENCH201[name]
    net = Net(Architecture.of(text), 3, 10)
    assert sum(p.numel() for p in net.parameters()) == expected
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)
