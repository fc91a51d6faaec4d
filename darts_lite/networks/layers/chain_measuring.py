"""The costs of chains: counted from the layers' shapes, or measured layer by layer."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, count
from random import Random

import torch
from torch import Tensor, nn

from darts_lite.networks.layers.chain_net import ChainNet, build_chain
from darts_lite.networks.layers.widest_net import pool_map
from darts_lite.space.cost_tables import Costs, Images
from darts_lite.space.groups import random_point
from darts_lite.space.layers.chain import Step
from darts_lite.space.layers.chain_costs import COUNTED, LATENCY, ChainCosts, list_kinds
from darts_lite.space.layers.device_costs import NAMES as DEVICE
from darts_lite.space.layers.device_costs import DeviceCosts
from darts_lite.space.layers.layer_space import LayerSpace

SAMPLES = 12
"""Number of layers of each kind that are measured."""
DRAWS = 300
"""Number of chains after which one layer of each kind is enough."""
Sample = tuple[Step, float]
"""A layer, and its milliseconds."""


def measure_layers(
    space: LayerSpace,
    name: str,
    cost: Callable[[nn.Module, Tensor], float] | None,
    images: Images,
    device: torch.device | str,
) -> Costs:
    """Returns the costs with this name; ValueError if layers have no such cost.

    Latencies are measured on the device, all others counted.
    """
    if name == LATENCY and cost is not None:
        return ChainCosts(space, name, images, _measure_rates(space, cost, images, device))
    if name in DEVICE:
        return DeviceCosts(name, images)
    if name not in COUNTED:
        known = [*COUNTED, *DEVICE, LATENCY]
        raise ValueError(f"a space of layers has no costs {name!r}; choose from {known}")
    return ChainCosts(space, name, images)


def _measure_rates(
    space: LayerSpace,
    cost: Callable[[nn.Module, Tensor], float],
    images: Images,
    device: torch.device | str,
) -> dict[str, Sequence[float]]:
    """Returns the rates of all kinds of layers, from those of random chains."""
    samples: dict[str, list[Sample]] = {kind: [] for kind in list_kinds(space)}
    random = Random(0)
    for draw in count():
        fewest = min(map(len, samples.values()))
        if fewest >= SAMPLES or (draw >= DRAWS and fewest > 0):
            break
        chain = space.build(space.architecture(random_point(space.sizes, random)).choices)
        net = build_chain(chain, images.channels, images.classes, False).to(device).eval()
        x = torch.rand(1, *images.shape(space.axes), device=device)
        with torch.inference_mode():
            for step, layer in zip(chain.steps(images), _list_layers(net), strict=True):
                if len(samples[step.kind]) < SAMPLES:
                    samples[step.kind].append((step, cost(layer, x)))
                x = layer(x)
    return {kind: _fit(measured) for kind, measured in samples.items()}


def _list_layers(net: ChainNet) -> Iterator[nn.Module]:
    """Yields the layers of a net in the order of `Chain.steps`; none adds what a block keeps."""
    if net.reduce is not None:
        yield net.reduce
    yield net.stem
    for block in net.blocks:
        yield from block.children()
    yield Means(net.head, net.axes)
    yield nn.Sequential(nn.Flatten(), net.classifier)


class Means(nn.Module):
    """Averages a map over windows; see `pool_map`."""

    def __init__(self, side: int, axes: int) -> None:
        super().__init__()
        self.side, self.axes = side, axes

    def forward(self, x: Tensor) -> Tensor:
        return pool_map(x, self.side, self.axes)


def _fit(samples: Sequence[Sample]) -> list[float]:
    """Returns milliseconds of a layer, of a multiply-add and of a number held, none below 0.

    They have the least squares of relative errors; with three numbers, every set of those that are
    not 0 can be tried.
    """
    taken = torch.tensor([time for _, time in samples], dtype=torch.float64)
    rows = [(1.0, step.multiply_adds, step.values) for step, _ in samples]
    table = torch.tensor(rows, dtype=torch.float64)  # (samples, 3)
    scale = table.abs().max(dim=0).values.clamp_min(1.0)
    relative = table / scale / taken[:, None]
    best, least = [float(taken.mean()), 0.0, 0.0], torch.inf
    for number in (1, 2, 3):
        for used in map(list, combinations(range(3), number)):
            found = torch.linalg.lstsq(relative[:, used], torch.ones(len(taken), 1).double())
            rates = found.solution.flatten()
            error = float((relative[:, used] @ rates - 1).square().sum())
            if (rates >= 0).all() and error < least:
                least, best = error, [0.0, 0.0, 0.0]
                for place, rate in zip(used, (rates / scale[used]).tolist(), strict=True):
                    best[place] = rate
    return best
