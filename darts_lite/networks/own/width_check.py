"""Checks that cutting channels off is the same as not reading them: what a `Width` promises."""

from collections.abc import Mapping

import torch
from torch import nn

from darts_lite.networks.own.settling import settle
from darts_lite.space.own.building import build_network
from darts_lite.space.own.masks import give_masks, mask_readers
from darts_lite.space.own.network_space import NetworkSpace
from darts_lite.space.own.network_structure import find_structure
from darts_lite.space.own.trial import run

CLOSE = 1e-6
"""Largest relative difference of two answers in 64 bits that are the same."""


def check_widths(space: NetworkSpace) -> None:
    """Compares nets whose channels are cut off with those that do not read them.

    Raises ValueError that names a `Width` whose channels are read by a layer that does not show it.
    """
    names = {*space.structure.widths.values()}
    if not names:
        return
    smallest = {name: space.structure.variables[name].options[0] for name in names}
    try:
        _compare(space, smallest)
    except ValueError:
        for name, option in smallest.items():  # which of them it is
            _compare(space, {name: option})
        raise


def _compare(space: NetworkSpace, chosen: Mapping[str, str]) -> None:
    """Raises ValueError if a network cut to these widths answers otherwise than a masked one."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        masked, cut = (build_network(space.plan).double().eval() for _ in range(2))
        _stir(masked)
        cut.load_state_dict(masked.state_dict())
        images = torch.randn_like(space.blank(2)).double()
    structure = find_structure(masked)
    readers = mask_readers(masked)
    rows = {
        source: torch.tensor(
            [
                1.0 if str(option) == chosen.get(name, str(source.options[-1])) else 0.0
                for option in source.options
            ],
            dtype=torch.float64,
        )
        for source, name in structure.widths.items()
    }
    names = ", ".join(chosen)
    widest = {name: str(source.options[-1]) for source, name in structure.widths.items()}
    with torch.no_grad():
        give_masks(readers, rows)
        wanted = run(masked, images, f"{names} masked")
        got = run(settle(cut, {**widest, **chosen}), images, f"{names} cut to {[*chosen.values()]}")
    if not isinstance(wanted, torch.Tensor):
        return
    difference = float((wanted - got).abs().max() / wanted.abs().max().clamp_min(1e-12))
    if not difference <= CLOSE:
        raise ValueError(
            f"the channels of {names} are read by something that does not show it: cut to "
            f"{', '.join(chosen.values())}, the network answers otherwise. Give the same Width to "
            "every layer that reads them"
        )


@torch.no_grad()
def _stir(network: nn.Module) -> None:
    """Moves all numbers of a network, so that none is the same for all channels."""
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            tensor.add_(0.2 * torch.rand_like(tensor))
