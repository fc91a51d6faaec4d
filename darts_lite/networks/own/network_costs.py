"""Measures what a network of the user's costs, part by part, where each part stands."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from darts_lite.networks.own.activations import measure_memory
from darts_lite.networks.own.settling import settle
from darts_lite.space.cost_tables import Costs, Images
from darts_lite.space.groups import random_point
from darts_lite.space.own.building import build_network, outline_network
from darts_lite.space.own.network_space import NetworkSpace
from darts_lite.space.own.network_structure import Structure, find_structure, list_dependent, runs
from darts_lite.space.own.part_costs import PartCosts, count_entries, list_rows
from darts_lite.space.own.widths import list_sources

Measure = Callable[[nn.Module, Tensor], float]
MEMORY = "memory"
MOST_MEASURED = 20_000
"""Largest number of ways in which the choices of one part are measured."""
CHECKED = 8
"""Number of random nets whose costs are compared with the sum of their parts."""


def measure_own(
    space: NetworkSpace,
    name: str,
    cost: Measure | None,
    images: Images,
    device: torch.device | str,
) -> Costs:
    """Returns the costs with this name of all nets of a space.

    Raises ValueError if there is no such cost, or a part depends on choices that it does not show.
    """
    space = space.with_data(images.channels, images.classes, images.side)
    if name == MEMORY:
        return PeakMemory(space)
    if cost is None:
        raise ValueError(f"a network of your own has no costs {name!r}; set a budget of another")
    with torch.random.fork_rng([torch.device(device)] if "cuda" in str(device) else []):
        return _Measuring(space, name, cost, torch.device(device)).measure()


class PeakMemory(Costs):
    """Bytes of activations at once, in int8; each net is built to know them.

    Args:
        space: The space; it knows the data.
    """

    def __init__(self, space: NetworkSpace) -> None:
        self.space, self.known = space, dict[tuple[tuple[str, str], ...], float]()

    def of(self, architecture: Any) -> float:
        chosen = self.space.name_choices(architecture.choices)
        key = tuple(chosen.items())
        if key not in self.known:
            network = _build(self.space, chosen, torch.device("meta"))
            self.known[key] = float(measure_memory(network, self.space.blank(device="meta")))
        return self.known[key]

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        """Returns the expected memory to first order around the most likely net; differentiable.

        A largest value is no sum over choices: each choice is changed alone.
        """
        groups = self.space.groups
        point = self.space.locate(_most_likely(self.space, shares))
        start = self.of(self.space.architecture(point))
        total = torch.tensor(start, dtype=torch.float64, device=next(iter(shares.values())).device)
        place = 0
        for name, group in groups.items():
            for rows, options in zip(group.split(shares[name]), group.decisions, strict=True):
                kept = options[0][point[place]]
                for offset, row in enumerate(kept, 1):
                    own = rows[row].double() / rows[row].double().sum()
                    for number, option in enumerate(options[offset]):
                        changed = [*point]
                        changed[place + offset] = number
                        more = self.of(self.space.architecture(tuple(changed))) - start
                        total = total + own[group.options.index(option)] * more
                place += 1 + len(kept)
        return total

    def to_dict(self) -> dict[str, Any]:
        raise ValueError("a budget of memory reads no table; leave the table out")


def _most_likely(space: NetworkSpace, shares: Mapping[str, Tensor]) -> Any:
    return space.choose_within(shares, [])[0]


def _build(space: NetworkSpace, chosen: Mapping[str, str], device: torch.device) -> nn.Module:
    with torch.random.fork_rng([]), device:
        return settle(build_network(space.plan), chosen).eval()


class _Measuring:
    """Measures one cost of all parts of a network.

    A part is a module without those inside. It depends on the choices that decide whether it runs,
    on the widths in its settings, and, where options change the shapes of what follows, on these.
    """

    def __init__(self, space: NetworkSpace, name: str, cost: Measure, device: torch.device) -> None:
        self.space, self.name, self.cost, self.device = space, name, cost, device
        self.structure: Structure = space.structure
        self.known: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
        self.images = space.blank(device=device)

    def _take(self, place: int) -> dict[str, str]:
        """Returns all choices at one place of their options, or the last one behind it.

        What a part does not depend on may be chosen in any way. Chosen like this, one net tells of
        many parts.
        """
        taken: dict[str, str] = {}
        for group in self.space.groups.values():
            option = group.options[min(place, len(group.options) - 1)]
            taken |= dict.fromkeys(group.rows, option)
        return taken

    def measure(self) -> PartCosts:
        """Returns the costs; raises ValueError if they are no sum over the parts."""
        network = outline_network(self.space.plan)
        widths = find_structure(network).widths
        shaping: set[str] = set()
        if self.name in ("multiply_adds", "latency"):
            alone = [g.rows for g in self.space.groups.values() if not g.mixes]
            shaping |= {*list_dependent(self.structure, [row for rows in alone for row in rows])}
        names_in_order = [*list_rows(self.space.groups)]
        parts: dict[tuple[str, ...], list[str]] = {}
        for path, module in network.named_modules():
            if path not in self.structure.modules:
                continue
            alternatives = self.structure.modules[path]
            names = [name for conditions in alternatives for name, _ in conditions]
            needed = {*names, *(widths[one] for one in list_sources(module)), *shaping}
            key = tuple(name for name in names_in_order if name in needed)
            parts.setdefault(key, []).append(path)
        tables = {names: self._fill(names, paths) for names, paths in parts.items() if names}
        rest = sum(self._run(self._take(0)).get(path, 0.0) for path in parts.get((), []))
        used = {names: table for names, table in tables.items() if table.any()}
        costs = PartCosts(self.space, used, rest)
        if self.name == "latency":  # what is between the modules
            return PartCosts(self.space, used, rest + self._measure_between(costs))
        self._check(costs)
        return costs

    def _fill(self, names: Sequence[str], paths: Sequence[str]) -> Tensor:
        """Returns the costs of parts for all options of the choices that they depend on."""
        rows = list_rows(self.space.groups)
        groups = [self.space.groups[rows[name].group] for name in names]
        shape = [count_entries(group) for group in groups]
        if math.prod(shape) > MOST_MEASURED:
            raise ValueError(
                f"{', '.join(paths[:3])} depend on {', '.join(names)} together, in "
                f"{math.prod(shape):,} ways; tie some of these choices to each other"
            )
        table = torch.zeros(shape, dtype=torch.float64)
        for place in product(*map(range, shape)):
            chosen = {
                name: group.options[at]
                for name, group, at in zip(names, groups, place, strict=True)
                if at < len(group.options)
            }
            others = {n: one for n, one in self._take(max(place)).items() if n not in names}
            active = [p for p in paths if runs(self.structure.modules[p], chosen)]
            if active:
                found = self._run({**others, **chosen})
                table[place] = sum(found.get(path, 0.0) for path in active)
        return table

    def _run(self, chosen: Mapping[str, str]) -> dict[str, float]:
        """Returns the cost of each part of the net that was chosen, by its path in the network."""
        key = tuple(sorted(chosen.items()))
        if key not in self.known:
            with torch.device(self.device):
                network = build_network(self.space.plan)
            paths = {id(module): path for path, module in network.named_modules()}
            net = settle(network, chosen).eval()
            places = net.named_modules(remove_duplicate=False)
            names = {name: paths.get(id(module), "") for name, module in places}
            found: dict[str, float] = {}
            for name, value in self._measure_parts(net):
                found[names[name]] = found.get(names[name], 0.0) + value
            self.known[key] = found
        return self.known[key]

    def _measure_parts(self, net: nn.Module) -> Iterator[tuple[str, float]]:
        """Yields the cost of each module of a net without those inside."""
        if self.name == "multiply_adds":
            yield from _count_multiply_adds(net, self.images)
        elif self.name == "latency":
            yield from self._time_leaves(net)
        else:
            for name, module in net.named_modules():
                alone = nn.Module()  # parameters and type of the module, without those inside
                yield name, self.cost(_without_children(module) or alone, self.images)

    def _time_leaves(self, net: nn.Module) -> Iterator[tuple[str, float]]:
        inputs: dict[nn.Module, Any] = {}

        def keep(module: nn.Module, args: Any) -> None:
            inputs.setdefault(module, args)

        leaves = {name: one for name, one in net.named_modules() if not [*one.children()]}
        hooks = [module.register_forward_pre_hook(keep) for module in leaves.values()]
        with torch.inference_mode():
            net(self.images)
        for hook in hooks:
            hook.remove()
        for name, module in leaves.items():
            (read, *others) = inputs.get(module, (None,))
            if isinstance(read, Tensor) and not others:
                yield name, self.cost(module, read)

    def _measure_between(self, costs: PartCosts) -> float:
        """Returns what the net of the first options takes beside its modules."""
        first = self.space.first_architecture()
        chosen = self.space.name_choices(first.choices)
        net = _build(self.space, chosen, self.device)
        return self.cost(net, self.images) - costs.of(first)

    def _check(self, costs: PartCosts) -> None:
        """Raises ValueError if nets cost something else than the sum of their parts."""
        random = Random(0)
        for _ in range(CHECKED):
            net = self.space.architecture(random_point(self.space.sizes, random))
            chosen = self.space.name_choices(net.choices)
            built = _build(self.space, chosen, self.device)
            wanted, got = self.cost(built, self.images), costs.of(net)
            if wanted != got:
                raise ValueError(
                    f"{self.name} of the network are no sum over its parts: for {net.genotype()} "
                    f"they are {wanted:.9g}, and those of its parts {got:.9g}. A module computes "
                    "with channels whose Width it does not hold (keep it as an attribute), or "
                    "shares its weights with another one"
                )


def _without_children(module: nn.Module) -> nn.Module | None:
    """Returns a module that has the parameters of another one, but nothing inside it."""
    if not [*module.children()]:
        return module
    alone = nn.Module()
    for name, parameter in module.named_parameters(recurse=False):
        alone.register_parameter(name, parameter)
    return alone


def _count_multiply_adds(net: nn.Module, images: Tensor) -> Iterator[tuple[str, float]]:
    """Yields the multiply-adds of each module without those inside."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(images)
    root = type(net).__name__
    counts = {
        name.removeprefix(root).removeprefix("."): sum(kinds.values()) / 2
        for name, kinds in counter.get_flop_counts().items()
        if name != "Global"
    }
    alone = dict(counts)
    for name, count in counts.items():
        above = name
        while above:  # the nearest module around it that was called
            above = above.rpartition(".")[0]
            if above in counts:
                alone[above] -= count
                break
    yield from alone.items()
