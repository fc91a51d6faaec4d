"""Costs of the chains of a space: exactly, and on average over independent choices.

What a block costs depends on its own choices and on the width of the map that it reads. Tables over
all of these give the mean as sums of products of probabilities, one placement after the other.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor

from darts_lite.space.cost_tables import Costs, Images
from darts_lite.space.layers.chain import (
    DEPTHWISE,
    FULL,
    RESIDUAL,
    Block,
    Step,
    halve_images,
    list_last_steps,
    list_steps,
    make_step,
    name_kind,
)
from darts_lite.space.layers.chain_options import HALF, OFF, STEM, ChainOptions, make_block

COUNTED: Mapping[str, tuple[Callable[[Step], float], Callable[..., float]]] = {
    "parameters": (lambda step: step.parameters, sum),
    "multiply_adds": (lambda step: step.multiply_adds, sum),
    "flash": (lambda step: step.flash, sum),
    "memory": (lambda step: step.values, max),
}
"""Name -> the cost of a layer, and how layers make that of a chain."""
Rates = Mapping[str, Sequence[float]]
"""Milliseconds of a kind of layer: of each layer, multiply-add, and number that it holds."""


LATENCY = "latency"


def list_kinds(space: ChainOptions) -> list[str]:
    """Returns all kinds of layers that chains of a space may have."""
    full = {*space.stem_kernels, *(space.kernels if FULL in space.expansions else ())}
    depthwise = space.kernels if space.factors else ()
    kinds = [
        name_kind(FULL, kernel, space.axes) for kernel in sorted(full | {1} if depthwise else full)
    ]
    kinds += [name_kind(DEPTHWISE, kernel, space.axes) for kernel in depthwise]
    halves = any(HALF in placement.split() for placement in space.placements)
    return [*kinds, *(["half"] * halves), "mean", "linear"]


@dataclass(frozen=True)
class Slot:
    """The costs of a block that may stand, at one placement, by all that they depend on.

    Args:
        row: Its row in the groups of kernels and expansions.
        stage: The stage that it belongs to.
        costs: ``(widths that enter, widths that leave, kernels, expansions)`` for the first block
            of a stage, else ``(widths, kernels, expansions, links)``.
        first: Whether it is the first of its stage.
    """

    row: int
    stage: int
    costs: Tensor
    first: bool


@dataclass(frozen=True)
class ChainCosts(Costs):
    """One of the `COUNTED` costs of the chains of a space, or their latency.

    Args:
        space: The space.
        name: Name of the cost.
        images: What the nets are made for.
        rates: If it is the latency: those of every kind of layer.
    """

    space: ChainOptions
    name: str
    images: Images
    rates: Rates | None = None

    def of(self, architecture: Any) -> float:
        return float(self.join(map(self.of_layer, architecture.steps(self.images))))

    def of_layer(self, step: Step) -> float:
        """Returns the cost of a layer."""
        if self.rates is None:
            return COUNTED[self.name][0](step)
        each, multiply_add, value = self.rates[step.kind]
        return each + multiply_add * step.multiply_adds + value * step.values

    @property
    def join(self) -> Callable[..., float]:
        """Makes the cost of a chain of those of its layers: `sum` or `max`."""
        return sum if self.rates is not None else COUNTED[self.name][1]

    def to_dict(self) -> dict[str, Any]:
        return {} if self.rates is None else {"rates": dict(self.rates)}

    @classmethod
    def from_dict(cls, space: ChainOptions, content: Mapping[str, Any]) -> "ChainCosts":
        """Builds costs from the content of their file; raises ValueError if they do not fit."""
        name, rates = content["cost"], content.get("rates")
        images = Images(content["images"][0], content["classes"], content["images"][-1])
        if name != LATENCY:
            return cls(space, name, images)
        for kind in list_kinds(space):
            numbers = rates.get(kind) if isinstance(rates, Mapping) else None
            if not isinstance(numbers, list) or len(numbers) != 3:
                raise ValueError(f"rates: {kind!r} must have three numbers, got {short(numbers)}")
            if not all(type(one) in (int, float) and 0 <= one < math.inf for one in numbers):
                raise ValueError(f"rates: {kind!r} must be at least 0, got {short(numbers)}")
        return cls(space, name, images, rates)

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        """Returns the mean if shares were probabilities of independent choices; differentiable."""
        chances = {
            name: (rows / rows.sum(dim=1, keepdim=True)).double().cpu()
            for name, rows in shares.items()
        }
        expect = self._expect_sum if self.join is sum else self._expect_largest
        of_placements = torch.stack([expect(chances, place) for place in self.placements])
        return (chances["placement"][0] * of_placements).sum()

    def _expect_sum(self, chances: Mapping[str, Tensor], place: "Placement") -> Tensor:
        """Returns the mean of a sum over layers at one placement."""
        widths, kernels, expansions = (chances[n] for n in ("width", "kernel", "expansion"))
        entering = chances["stem_width"][0]
        stem = torch.einsum("k,w,kw->", chances["stem_kernel"][0], entering, place.stem)
        total, later = place.rest + stem, 0
        for slot in place.slots:
            leaving, inner = widths[slot.stage], (kernels[slot.row], expansions[slot.row])
            if slot.first:
                total = total + torch.einsum(
                    "a,b,k,e,abke->", entering, leaving, *inner, slot.costs
                )
            else:
                links = chances["link"][later]
                total = total + torch.einsum("b,k,e,l,bkel->", leaving, *inner, links, slot.costs)
                later += 1
            entering = leaving
        return total + torch.einsum("w,h,wh->", entering, chances["head"][0], place.last)

    def _expect_largest(self, chances: Mapping[str, Tensor], place: "Placement") -> Tensor:
        """Returns the mean of the largest layer at one placement, from its distribution.

        For each possible value t, a row of `within` holds the probability that no layer so far is
        above t and that the map has a width: ``(values, widths)``.
        """
        widths, kernels, expansions = (chances[n] for n in ("width", "kernel", "expansion"))
        values, entering = place.values, chances["stem_width"][0]
        below = (place.stem <= values[:, None, None]).double()  # (values, kernels, widths)
        within = entering * torch.einsum("k,tkw->tw", chances["stem_kernel"][0], below)
        later = 0
        for slot in place.slots:
            inner = kernels[slot.row], expansions[slot.row]
            below = (slot.costs <= values.view(-1, *[1] * slot.costs.dim())).double()
            if slot.first:
                chance = torch.einsum("k,e,tabke->tab", *inner, below)
                within = widths[slot.stage] * torch.einsum("ta,tab->tb", within, chance)
            else:
                links = chances["link"][later]
                within = within * torch.einsum("k,e,l,tbkel->tb", *inner, links, below)
                later += 1
        below = (place.last <= values[:, None, None]).double()  # (values, widths, heads)
        within = within * torch.einsum("h,twh->tw", chances["head"][0], below)
        least = values * (values >= place.rest)
        reached = within.sum(dim=1) * (values >= place.rest)  # P(largest <= value), (values,)
        steps = torch.diff(reached, prepend=reached.new_zeros(1))
        return (least * steps).sum()

    @cached_property
    def placements(self) -> tuple["Placement", ...]:
        return tuple(_tabulate(self, halved.split()) for halved in self.space.placements)


@dataclass(frozen=True)
class Placement:
    """The costs of the layers where the map is halved at certain places.

    Args:
        rest: Cost of what all chains have.
        stem: ``(kernels, widths)``.
        slots: Of the blocks.
        last: Of the means and the linear layer, ``(widths of the last stage, heads)``.
    """

    rest: float
    stem: Tensor
    slots: tuple[Slot, ...]
    last: Tensor

    @cached_property
    def values(self) -> Tensor:
        """All costs of single layers and blocks, rising."""
        every = [self.stem, *(slot.costs for slot in self.slots), self.last]
        known = torch.cat(
            [torch.tensor([self.rest], dtype=torch.float64), *map(torch.flatten, every)]
        )
        return known.unique()


def _tabulate(costs: ChainCosts, halved: list[str]) -> Placement:
    """Measures the layers of all chains at one placement."""
    space, images, cost, join = costs.space, costs.images, costs.of_layer, costs.join

    def measure(block: Block, channels: int, side: int) -> float:
        return join(map(cost, list_steps(block, channels, side, space.axes)))

    side, rest = images.side, 0.0
    if HALF in halved:
        half = halve_images(images, space.axes)
        side, rest = half.side, cost(half)
    stride = 2 if STEM in halved else 1
    enters = images.channels, side
    stem = [
        [
            cost(make_step("", enters, Block(kernel, width, stride), space.axes))
            for width in space.stem_widths
        ]
        for kernel in space.stem_kernels
    ]
    side, entering = math.ceil(side / stride), space.stem_widths
    slots = []
    for row, (stage, first) in enumerate(space.slots):
        stride = 2 if first and str(stage + 1) in halved else 1
        inner = (space.kernels, space.expansions)
        if first:
            table = [
                measure(make_block(kernel, after, stride, expansion, False), before, side)
                for before, after, kernel, expansion in product(entering, space.widths, *inner)
            ]
            shape = [len(entering), len(space.widths), *map(len, inner)]
        else:
            table = [
                0 if link == OFF else measure(make_block(k, w, 1, e, link == RESIDUAL), w, side)
                for w, k, e, link in product(space.widths, *inner, space.links)
            ]
            shape = [len(space.widths), *map(len, inner), len(space.links)]
        slots.append(Slot(row, stage, torch.tensor(table, dtype=torch.float64).view(shape), first))
        side, entering = math.ceil(side / stride), space.widths
    last = [
        [
            join(map(cost, list_last_steps((width, side), head, images.classes, space.axes)))
            for head in space.heads
        ]
        for width in space.widths
    ]
    tables = (torch.tensor(table, dtype=torch.float64) for table in (stem, last))
    return Placement(float(rest), next(tables), tuple(slots), next(tables))
