"""Checks that nets of chosen parts answer as the network with these choices does."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import combinations
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from darts_lite.networks.own.mixed_network import MixedNetwork
from darts_lite.networks.own.settling import settle
from darts_lite.space.groups import Point, random_point
from darts_lite.space.own.choices import AnyChoice
from darts_lite.space.own.network_space import NetworkSpace
from darts_lite.space.own.network_structure import show_path
from darts_lite.space.own.trial import run
from darts_lite.space.own.widths import list_sources

CLOSE = 1e-6
"""Largest relative difference of two answers in 64 bits that are the same."""
MOST_NETS, MOST_DRAWN = 12, 200
"""Number of nets that are tried, and of those that are drawn to find them."""


def mix_network(
    space: NetworkSpace,
    in_channels: int,
    num_classes: int,
    partial_channels: int,
    auxiliary_skip: bool,
) -> MixedNetwork:
    """Builds a mixed network, once `check_network` has found nothing."""
    check_network(space.with_data(in_channels, num_classes))
    return MixedNetwork(space, in_channels, num_classes, partial_channels, auxiliary_skip)


def check_network(space: NetworkSpace) -> None:
    """Compares nets with the network whose choices are taken; see `_cover`.

    Raises:
        ValueError: if answers differ, as where a layer reads channels without showing their
            `Width`; if the network returns anything but logits, or does not run.
    """
    _check_once(space, space.code)


@lru_cache
def _check_once(space: NetworkSpace, code: object) -> None:
    classes = space.num_classes
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        mixed = MixedNetwork(space, space.in_channels or 1, classes or 1, 1, False)
        images = torch.randn_like(space.blank(2)).double()
        skeleton: Any = mixed.skeleton.double().eval()
        _stir(skeleton)
        _check_ties(skeleton)
        for point in _cover(space.sizes):
            found = space.architecture(point)
            _compare(mixed, images, point, f"the choices {found.genotype()}")
        with torch.no_grad():
            _check_output(skeleton.train()(images), len(images), classes, "in training")


def _cover(sizes: Sequence[int]) -> Iterator[Point]:
    """Yields points in which every option of a choice meets every option of each other one.

    Where that takes more than `MOST_NETS`, as many as these hold do.
    """
    random, met = Random(0), set[tuple[int, int, int, int]]()
    open_ = [place for place, size in enumerate(sizes) if size > 1]
    found = 0
    for _ in range(MOST_DRAWN):
        point = random_point(sizes, random)
        pairs = {(a, point[a], b, point[b]) for a, b in combinations(open_, 2)}
        pairs |= {(a, point[a], a, point[a]) for a in open_}
        if found == 0 or pairs - met:
            met |= pairs
            found += 1
            yield point
        if found == MOST_NETS:
            return


def _compare(mixed: MixedNetwork, images: Tensor, point: Point, what: str) -> None:
    space, skeleton = mixed.space, mixed.skeleton
    found = space.architecture(point)
    path = {name: rows.double() for name, rows in space.path(found).items()}
    wanted = run(_Path(mixed, path), images, what)
    net = settle(deepcopy(skeleton), space.name_choices(found.choices))
    got = run(net, images, f"the net of {what.removeprefix('the ')}")
    _check_output(wanted, len(images), space.num_classes, f"with {what}")
    left = [module for module in net.modules() if isinstance(module, AnyChoice)]
    difference = float((wanted - got).abs().max() / wanted.abs().max().clamp_min(1e-12))
    if left or not difference <= CLOSE:
        raise ValueError(
            f"the net of {what.removeprefix('the ')} answers otherwise than the network with these "
            "choices taken: channels are read by something that does not show their Width (give "
            "the same Width to every layer that reads them, in the order of the channels), or a "
            "choice stands where torch does not find it, as in a list"
        )


class _Path(nn.Module):
    """A mixed network with some mixing weights, as a module of images alone."""

    def __init__(self, mixed: MixedNetwork, path: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.mixed, self.path, self.skeleton = mixed, path, mixed.skeleton

    def forward(self, images: Tensor) -> Tensor:
        return self.mixed(images, self.path)


def _check_output(output: Any, batch: int, classes: int | None, what: str) -> None:
    shape = tuple(output.shape) if isinstance(output, Tensor) else ()
    if len(shape) < 2 or shape[:2] != (batch, classes or shape[1]):
        got = f"{shape}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise ValueError(
            f"the network must return logits (B, classes), or another answer (B, {classes}, …); "
            f"{what} it returns {got} for a batch of {batch}"
        )


def _check_ties(network: nn.Module) -> None:
    """Raises ValueError if layers whose channels are chosen share their weights."""
    holders: dict[nn.Parameter, str] = {}
    for path, module in network.named_modules():
        for _, parameter in module.named_parameters(recurse=False):
            other = holders.setdefault(parameter, path)
            places = f"{show_path(other)} and {show_path(path)}"
            if other != path and (
                list_sources(module) or list_sources(network.get_submodule(other))
            ):
                raise ValueError(
                    f"{places} share weights, which would be cut for each by itself; give them "
                    "fixed numbers of channels"
                )


@torch.no_grad()
def _stir(network: nn.Module) -> None:
    """Moves all numbers of a network, so that none is the same for all channels."""
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            tensor.add_(0.2 * torch.rand_like(tensor))
