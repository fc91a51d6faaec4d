"""The widest net: each chain is a part of it."""

from dataclasses import replace
from random import Random

import pytest
import torch
from run_helpers import some_digits
from torch.utils.flop_counter import FlopCounterMode

from darts_lite.networks.layers.widest_net import MixedLayers
from darts_lite.networks.net import Net
from darts_lite.networks.supernet import Supernet
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.groups import random_point
from darts_lite.space.layers.layer_space import LayerSpace

SPACE = LayerSpace(stem_widths=(4, 8), widths=(4, 8, 12), expansions=("full", 0, 1, 2))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return some_digits()[0][:16].unsqueeze(1) / 255


@pytest.mark.parametrize("axes", [1, 2])
def test_part_masks_and_net_are_one_function(axes: int, images: torch.Tensor) -> None:
    torch.manual_seed(0)
    space, random = replace(SPACE, axes=axes), Random(0)
    images = images.double() if axes == 2 else images.double().transpose(1, 2)  # rows as channels
    channels = images.shape[1]
    supernet = Supernet(space, channels, 10).double()
    for _ in range(12):
        chain = space.architecture(random_point(space.sizes, random))
        path = {name: rows.double() for name, rows in space.path(chain).items()}
        net = Net(chain, channels, 10).double()
        net.inherit(supernet)
        part = supernet(images, path)
        torch.testing.assert_close(part, net.train()(images), atol=1e-10, rtol=1e-10)
        masked = supernet(images, {n: rows.clone().requires_grad_() for n, rows in path.items()})
        torch.testing.assert_close(masked, part, atol=1e-10, rtol=1e-10)


def test_all_choices_get_gradients(images: torch.Tensor) -> None:
    torch.manual_seed(1)
    supernet = Supernet(SPACE, 1, 10)
    last = SPACE.name_options({n: [-1] * len(g.rows) for n, g in SPACE.groups.items()})
    path = SPACE.path(SPACE.build(last))
    mixing = {name: rows.clone().requires_grad_() for name, rows in path.items()}
    supernet(images, mixing).logsumexp(dim=1).sum().backward()
    for name, rows in mixing.items():
        assert rows.grad is not None
        assert (rows.grad != 0).any(dim=1).all(), name


def test_shares_mix_all_placements(images: torch.Tensor) -> None:
    torch.manual_seed(2)
    supernet = Supernet(SPACE, 1, 10)
    even = {name: torch.ones(g.shape) / g.shape[1] for name, g in SPACE.groups.items()}
    logits = supernet(images, even)
    assert logits.shape == (16, 10) and logits.isfinite().all()


def test_what_only_cells_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no partial channels"):
        MixedLayers(SPACE, 1, 10, 2, False)
    with pytest.raises(ValueError, match="no auxiliary skips"):
        Supernet(SPACE, 1, 10, auxiliary_skip=True)
    with pytest.raises(ValueError, match="set edge_weights to false"):
        Supernet(SPACE, 1, 10, edge_weights=True)
    with pytest.raises(ValueError, match="set drop_path to 0"):
        Retraining(SPACE.first_architecture(), drop_path=0.1)


def test_blocks_have_names() -> None:
    assert [*MixedLayers(SPACE, 1, 10, 1, False).operations()] == [
        f"block {row}" for row in range(1, 9)
    ]


def test_a_choice_of_one_option_is_decided(images: torch.Tensor) -> None:
    counted = []
    for heads in ((1, 2), (1,)):
        space = replace(SPACE, heads=heads)
        mixed = MixedLayers(space, 1, 10, 1, False)
        with FlopCounterMode(display=False) as counter:
            mixed(images, space.path(space.first_architecture()))
        counted.append(counter.get_total_flops())
    assert counted[0] == counted[1]
