"""Architectures as points."""

import math
from itertools import product
from random import Random

import pytest
import torch

from darts_lite.networks.cells.sampled import Sampled
from darts_lite.networks.net import Net
from darts_lite.networks.supernet import Supernet
from darts_lite.space.cells.search_space import SearchSpace, darts_space, nasbench201_space
from darts_lite.space.groups import random_point

TINY = SearchSpace(("none", "skip_connect", "conv_1x1"), nodes=2, channels=4, cells=3)


def test_every_point_is_another_architecture() -> None:
    encoding = TINY
    assert encoding.sizes == (1, 2, 2, 3, 2, 2) * 2
    points = list(product(*map(range, encoding.sizes[:6])))
    cells = {encoding.architecture(point + points[0]).choices["normal"] for point in points}
    assert len(cells) == len(points) == 48
    assert not any(name == "none" for cell in cells for node in cell for name, _ in node)


def test_the_sizes_of_the_published_spaces() -> None:
    assert math.prod(nasbench201_space().sizes) == 15_625
    # 7 operations on 8 edges of 1, 3, 6 and 10 pairs of sources, in two cells
    assert math.prod(darts_space().sizes) == (7**8 * 1 * 3 * 6 * 10) ** 2


@pytest.mark.parametrize("space", [TINY, nasbench201_space(4, 3)], ids=lambda space: space.name)
def test_a_path_through_the_supernet_is_the_net(space: SearchSpace) -> None:
    torch.manual_seed(0)
    encoding, random = space, Random(0)
    supernet = Supernet(space, 1, 10, Sampled()).eval()
    images = torch.randn(3, 1, 12, 12)
    for _ in range(5):
        architecture = encoding.architecture(random_point(encoding.sizes, random))
        net = Net(architecture, 1, 10).eval()
        net.inherit(supernet)
        with torch.no_grad():
            assert torch.allclose(
                supernet(images, space.path(architecture)), net(images), atol=1e-5
            )
