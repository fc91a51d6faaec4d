"""Finds the best chain within bounds on several costs, exactly.

A chain is built block after block, the most promising one first (A*). How good a chain that has
begun may become is bounded by Lagrange multipliers: for prices of the costs, the best score less
the price of what is spent, plus the price of the bounds. Near the best prices hardly any chain
beside the best one is opened.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from darts_lite.space.cost_tables import Bound
from darts_lite.space.groups import Choices
from darts_lite.space.layers.chain_costs import ChainCosts
from darts_lite.space.layers.chain_options import ChainOptions
from darts_lite.space.layers.device_costs import DeviceCosts

Array = NDArray[np.float64]
Join = Callable[[Array, Array], Array]
ROUNDS = 60
"""Number of steps towards the best prices."""


class Layer(NamedTuple):
    """All that may be chosen for the stem, for a block, or for the end of a chain.

    Its choices beside widths are flattened into one axis; `names` and `shape` unfold it.
    """

    scores: Array  # (widths that enter, widths that leave, choices); -inf is not allowed
    costs: Array  # (bounds, widths that enter, widths that leave, choices)
    names: tuple[tuple[str, int], ...]  # of each choice beside widths: group and row
    shape: tuple[int, ...]
    width: tuple[str, int] | None  # group and row of the width that leaves, if it is chosen here


def choose_chain(
    space: ChainOptions, shares: Mapping[str, Tensor], bounds: Sequence[Bound]
) -> tuple[Choices | None, list[float]]:
    """Returns the choices with the largest product of shares within bounds; None if there are none.

    Where there are none, the second value is the least ``sign * cost`` for each bound alone.
    """
    logs = {
        name: np.log(np.maximum(rows.detach().double().cpu().numpy(), 1e-30))
        for name, rows in shares.items()
    }
    placements = range(len(space.placements))
    placed = [_list_layers(space, logs, bounds, place) for place in placements]
    # Peaks of memory are kept to by the scores; the other bounds are on sums.
    sums = np.array([not _is_peak(bound) for bound in bounds], dtype=bool)
    limits = np.array([bound.sign * bound.value for bound in bounds])[sums]
    summed = [[layer._replace(costs=layer.costs[sums]) for layer in layers] for layers in placed]
    found = _search(summed, logs["placement"][0], limits)
    if found is None:
        return None, [_find_least(space, logs, bound) for bound in bounds]
    options = {name: [0] * len(rows) for name, rows in logs.items()}
    options["placement"] = [found.placement]
    for layer, (leaving, choice) in zip(placed[found.placement], found.taken, strict=True):
        if layer.width is not None:
            options[layer.width[0]][layer.width[1]] = leaving
        places = np.unravel_index(choice, layer.shape)
        for (name, row), place in zip(layer.names, places, strict=True):
            options[name][row] = int(place)
    return space.name_options(options), []


def _list_layers(
    space: ChainOptions, logs: Mapping[str, Array], bounds: Sequence[Bound], place: int
) -> list[Layer]:
    """Returns the layers at one placement, with the logarithms of their shares as scores."""
    tables = [_costs_of(bound).placements[place] for bound in bounds]
    (stem,), widths = logs["stem_width"], logs["width"]
    scores = (stem[:, None] + logs["stem_kernel"])[None]  # (1, widths, kernels)
    costs = [
        # What every chain of this placement has, such as halving the image, counts with the stem.
        (np.maximum if _is_peak(bound) else np.add)(table.stem.T[None].numpy(), float(table.rest))
        for bound, table in zip(bounds, tables, strict=True)
    ]
    layers = [_restrict(scores, costs, bounds, (("stem_kernel", 0),), ("stem_width", 0))]
    later = 0
    for row, (stage, first) in enumerate(space.slots):
        inner = logs["kernel"][row][:, None] + logs["expansion"][row]  # (kernels, expansions)
        names: tuple[tuple[str, int], ...] = (("kernel", row), ("expansion", row))
        slots = [table.slots[row].costs.numpy() for table in tables]
        if first:
            entering = len(slots[0]) if slots else len(space.widths if stage else space.stem_widths)
            scores = np.tile(widths[stage][:, None, None] + inner, (entering, 1, 1, 1))
            layers.append(_restrict(scores, slots, bounds, names, ("width", stage)))
            continue
        inner = inner[..., None] + logs["link"][later]  # (kernels, expansions, links)
        # The width stays: all other pairs of widths are forbidden.
        stays = np.where(np.eye(len(space.widths), dtype=bool), 0.0, -np.inf)
        scores = stays[..., None, None, None] + inner
        slots = [np.repeat(costs[:, None], len(space.widths), 1) for costs in slots]
        layers.append(_restrict(scores, slots, bounds, (*names, ("link", later)), None))
        later += 1
    ends = [table.last.numpy()[:, None] for table in tables]  # (widths, 1, heads)
    scores = np.tile(logs["head"][0], (len(space.widths), 1, 1))
    layers.append(_restrict(scores, ends, bounds, (("head", 0),), None))
    return layers


def _restrict(
    scores: Array,
    costs: Sequence[Array],
    bounds: Sequence[Bound],
    names: tuple[tuple[str, int], ...],
    width: tuple[str, int] | None,
) -> Layer:
    """Returns a layer in which no choice needs more memory than a bound allows.

    Scores and costs are ``(widths that enter, widths that leave, *choices)``.
    """
    signed = []
    for bound, cost in zip(bounds, costs, strict=True):
        if _is_peak(bound):
            scores = np.where(cost <= bound.value, scores, -np.inf)
        signed.append(bound.sign * cost)
    shape = scores.shape[2:]
    flat = (*scores.shape[:2], -1)
    scores = scores.reshape(flat)
    stacked = [cost.reshape(flat) for cost in signed]
    table = np.stack(stacked) if stacked else np.zeros((0, *scores.shape))
    return Layer(scores, table, names, shape, width)


def _costs_of(bound: Bound) -> ChainCosts:
    if isinstance(bound.costs, DeviceCosts):
        raise bound.costs.refusal
    if not isinstance(bound.costs, ChainCosts):
        raise TypeError(f"{type(bound.costs).__name__} are no costs of chains")
    return bound.costs


def _is_peak(bound: Bound) -> bool:
    """Returns whether a bound limits the largest layer, not the sum of layers."""
    if _costs_of(bound).join is not max:
        return False
    if bound.sign < 0:
        raise ValueError("memory has an upper limit only; leave the lower one out")
    return True


@dataclass(frozen=True)
class Begun:
    """The first layers of a chain at one placement."""

    placement: int
    taken: tuple[tuple[int, int], ...]  # of each layer: the width that leaves, and its choice
    score: float
    spent: Array  # (bounds,)


def _search(placed: Sequence[Sequence[Layer]], starts: Array, limits: Array) -> Begun | None:
    """Returns the best whole chain within limits of sums."""
    prices = _find_prices(placed, starts, limits)
    futures = [[_look_ahead(layers, price) for price in prices] for layers in placed]
    places = range(len(limits))
    needs = [[_look_ahead_at_cost(layers, place, np.add) for place in places] for layers in placed]
    ticket = count()
    heap: list[tuple[float, int, Begun, Iterator[tuple[float, Begun]]]] = []

    def open_up(begun: Begun) -> Iterator[tuple[float, Begun]]:
        """Yields what may follow, the most promising first, with bounds on the score."""
        number = len(begun.taken)
        layer, entering = placed[begun.placement][number], begun.taken[-1][0] if number else 0
        scores = begun.score + layer.scores[entering]  # (widths, choices)
        spent = begun.spent[:, None, None] + layer.costs[:, entering]  # (bounds, widths, choices)
        hope = np.full_like(scores, np.inf)
        for price, future in zip(prices, futures[begun.placement], strict=True):
            left = _times(price, limits, spent)
            hope = np.minimum(hope, scores + future[number + 1][:, None] + left)
        for place, ahead in enumerate(needs[begun.placement]):
            hope[spent[place] + ahead[number + 1][:, None] > limits[place]] = -np.inf
        order = np.argsort(-hope, axis=None)
        for flat in order[: int(np.isfinite(hope).sum())]:
            leaving, choice = map(int, np.unravel_index(flat, hope.shape))
            taken = (*begun.taken, (leaving, choice))
            its = spent[:, leaving, choice]
            yield (
                float(hope[leaving, choice]),
                Begun(begun.placement, taken, float(scores[leaving, choice]), its),
            )

    def push(following: Iterator[tuple[float, Begun]]) -> None:
        for hope, begun in following:
            heapq.heappush(heap, (-hope, next(ticket), begun, following))
            break

    for place, start in enumerate(starts):
        push(open_up(Begun(place, (), float(start), np.zeros(len(limits)))))
    while heap:
        _, _, begun, following = heapq.heappop(heap)
        if len(begun.taken) == len(placed[begun.placement]):
            return begun
        push(following)
        push(open_up(begun))
    return None


def _times(price: Array, limits: Array, spent: Array) -> Array:
    """Returns the price of what is left of all limits, from what is spent ``(bounds, ...)``."""
    left = limits.reshape(-1, *[1] * (spent.ndim - 1)) - spent
    return np.asarray(np.tensordot(price, left, axes=1))


def _look_ahead(layers: Sequence[Layer], price: Array) -> list[Array]:
    """Returns the best score less the price of costs, behind each layer and for each width."""
    best = [np.zeros(1)]
    for layer in reversed(layers):
        value = layer.scores - np.tensordot(price, layer.costs, axes=1)
        best.append((value + best[-1][:, None]).max(axis=(1, 2)))
    return best[::-1]


def _look_ahead_at_cost(layers: Sequence[Layer], place: int, join: Join) -> list[Array]:
    """Returns the least signed cost behind each layer, for each width that enters."""
    least = [np.full(1, -np.inf if join is np.maximum else 0.0)]
    for layer in reversed(layers):
        cost = np.where(np.isfinite(layer.scores), layer.costs[place], np.inf)
        least.append(join(cost, least[-1][:, None]).min(axis=(1, 2)))
    return least[::-1]


def _find_prices(placed: Sequence[Sequence[Layer]], starts: Array, limits: Array) -> list[Array]:
    """Returns prices of the bounds, ``(bounds,)`` each, near those of the lowest upper bound."""
    scale = np.maximum(np.abs(limits), 1e-9)
    price = np.zeros(len(limits))
    tried = []
    for round_ in range(ROUNDS if len(limits) else 1):
        values = [
            start + _look_ahead(layers, price)[0][0]
            for layers, start in zip(placed, starts, strict=True)
        ]
        best = int(np.argmax(values))
        spent = _spend(placed[best], price)
        upper = values[best] + float(_times(price, limits, spent))
        tried.append((upper, price))
        # The bound falls along what the best chain at these prices spends beyond the limits.
        excess = (spent - limits) / scale
        price = np.maximum(0.0, price + 20.0 * 0.9**round_ * excess / scale)
    ranked = sorted(tried, key=lambda one: one[0])
    return [price for _, price in ranked[:3]] + [np.zeros(len(limits))]


def _spend(layers: Sequence[Layer], price: Array) -> Array:
    """Returns the costs ``(bounds,)`` of the best chain at these prices."""
    futures, entering = _look_ahead(layers, price), 0
    spent = np.zeros(len(price))
    for number, layer in enumerate(layers):
        value = layer.scores[entering] - np.tensordot(price, layer.costs[:, entering], axes=1)
        value = value + futures[number + 1][:, None]
        leaving, choice = np.unravel_index(int(value.argmax()), value.shape)
        spent = spent + layer.costs[:, entering, leaving, choice]
        entering = int(leaving)
    return spent


def _find_least(space: ChainOptions, logs: Mapping[str, Array], bound: Bound) -> float:
    """Returns the least ``sign * cost`` of all chains."""
    free = bound._replace(value=bound.sign * np.inf)
    join = np.maximum if _is_peak(bound) else np.add
    return min(
        float(_look_ahead_at_cost(_list_layers(space, logs, [free], place), 0, join)[0][0])
        for place in range(len(space.placements))
    )
