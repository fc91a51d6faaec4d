"""Trains a net with the rounding of its int8 file, in the last part of a training (1712.05877).

Weights are rounded with a scale for each channel that they make, maps with one scale each, and
gradients pass by the rounding as if there were none. A folded norm would scale all weights of a
channel alike, which changes no rounding, so norms are trained as ever. A map reaches as far as
those of the step's images do, so nothing is remembered, and the net stays one of floats.
"""

from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from darts_lite.distributed.batch_norm import widen
from darts_lite.distributed.ranks import average, own_shard
from darts_lite.networks.kinds import find_kind
from darts_lite.networks.net import Net

LAST_SHARE = 0.2
"""Share of a training's steps that are rounded; at least an epoch is."""
STEPS, LARGEST = 255, 127
"""Steps from the lowest to the highest value of a map; largest whole number of a weight."""
HALVES = 1e-3
"""Part of a step that makes halves, as means of whole numbers are, go down on every machine."""


class Grid(NamedTuple):
    """The values that a map can have in whole numbers of 8 bits, one of which is 0."""

    scale: Tensor  # ()
    low: Tensor  # ()
    high: Tensor  # ()

    @classmethod
    @torch.no_grad()
    def of(cls, maps: Tensor) -> "Grid":
        """Returns that of maps ``(B, ...)``, from the joint batch of all ranks."""
        ends = torch.stack([maps.amin().clamp(max=0), maps.amax().clamp(min=0)])
        low, high = _join_ends(ends.to(widen(maps.dtype)))
        scale = ((high - low) / STEPS).clamp(min=torch.finfo(maps.dtype).tiny)
        first = (low / scale).round()
        return cls(scale, first * scale, (first + STEPS) * scale)

    def round(self, maps: Tensor) -> Tensor:
        """Returns maps of the same shape on the grid; what is cut off gets no gradient."""
        inside = maps.clamp(*(limit.to(maps.dtype) for limit in (self.low, self.high)))
        return _replace(inside, (inside / self.scale - HALVES).round() * self.scale)


def _join_ends(ends: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the least and the largest of all ranks' extremes ``(2,)``."""
    rank, ranks = own_shard()
    slots = ends.new_zeros(ranks, 2)
    slots[rank] = ends  # the others' are added by the mean over ranks
    (mean,) = average(slots)
    return ranks * mean[:, 0].amin(), ranks * mean[:, 1].amax()


def round_weight(weight: Tensor) -> Tensor:
    """Returns a weight ``(channels, ...)`` rounded with a scale for each channel."""
    reach = weight.detach().abs().amax(dim=tuple(range(1, weight.ndim)), keepdim=True)
    scale = (reach / LARGEST).clamp(min=torch.finfo(weight.dtype).tiny)
    return _replace(weight, (weight / scale).round() * scale)


def _replace(values: Tensor, rounded: Tensor) -> Tensor:
    """Returns rounded values with the gradient of no rounding."""
    return values + (rounded - values).detach()


def is_rounded(step: int, steps: int, epoch: int) -> bool:
    """Returns whether a step is in the last part of a training; `epoch` is the length of one."""
    return steps - step <= max(LAST_SHARE * steps, epoch)


def check_rounding(net: Net) -> None:
    """Raises ValueError if a net's maps are not known."""
    if find_kind(net.architecture).list_maps is None:
        raise ValueError(
            "quantize rounds the maps of chains (darts_lite.LayerSpace), and this net is of "
            "another kind; set quantize to false, and export --int8 quantises it after training"
        )


def pass_rounded(net: Net, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Computes what `Net.forward_auxiliary` does, with the rounding of an int8 file."""
    list_maps, skeleton = find_kind(net.architecture).list_maps, net.skeleton
    assert list_maps is not None  # by `check_rounding`
    weights = {
        f"{name}.weight": round_weight(module.weight)
        for name, module in skeleton.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    grid = Grid.of(images)  # of the last map so far

    def begin_map(_: nn.Module, __: Any, maps: Tensor) -> Tensor:
        nonlocal grid
        grid = Grid.of(maps)
        return grid.round(maps)

    with ExitStack() as hooks:
        for module in list_maps(skeleton):
            hooks.callback(module.register_forward_hook(begin_map).remove)
        for module in skeleton.modules():  # means keep the grid of the map that they are of
            if isinstance(module, nn.AvgPool2d):
                hook = module.register_forward_hook(lambda *seen: grid.round(seen[2]))
                hooks.callback(hook.remove)
            elif isinstance(module, nn.Linear):
                before = module.register_forward_pre_hook(lambda _, given: grid.round(given[0]))
                hooks.callback(before.remove)
        answers: tuple[Tensor, Tensor | None]
        answers = functional_call(skeleton, weights, (grid.round(images),))
    return answers
