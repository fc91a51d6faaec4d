"""A second kind of space, with which tests hold that nothing but `KINDS` knows which there are.

A chain of slots. Each has a depthwise kernel and a gate, which may leave it out; costs are no sums
over choices, since the cost of a kernel counts only where the gate is on.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Self

import torch
from torch import Tensor, nn

from darts_lite.networks.kinds import Kind
from darts_lite.space.cost_tables import Bound, Costs, Images
from darts_lite.space.groups import Choices, Diagram, Group
from darts_lite.space.operation_code import assign, write_class
from darts_lite.space.protocol import AnyArchitecture, Space

KERNELS = ("1", "3", "5")
GATES = ("none", "on")


@dataclass(frozen=True)
class Chain(AnyArchitecture):
    kernels: tuple[int, ...]
    gates: tuple[bool, ...]
    channels: int
    space: str = "chain"
    found_by: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.genotype()

    @property
    def choices(self) -> Choices:
        return {
            "kernel": tuple(((str(kernel), 0),) for kernel in self.kernels),
            "gate": tuple(((GATES[gate], 0),) for gate in self.gates),
        }

    @property
    def diagrams(self) -> dict[str, Diagram]:
        kept = [f"dw_conv_{k}x{k}" for k, on in zip(self.kernels, self.gates, strict=True) if on]
        names = ("x", *map(str, range(len(kept))))
        edges = tuple(((name, place),) for place, name in enumerate(kept))
        return {"chain": Diagram("chain", names, edges, (len(kept),), "y")}

    @property
    def frame(self) -> Mapping[str, Any]:
        return {"channels": self.channels}

    @property
    def size(self) -> str:
        return f"{sum(self.gates)} slots of {self.channels} channels"

    @property
    def sees(self) -> bool:
        return True

    def genotype(self) -> str:
        return "-".join(
            str(k) if on else "none" for k, on in zip(self.kernels, self.gates, strict=True)
        )

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        given = {name: value for name, value in changes.items() if value is not None}
        if set(given) - {"channels"}:
            raise ValueError("a chain has no cells, reductions and stem; set channels only")
        return replace(self, **given)

    def to_dict(self) -> dict[str, Any]:
        plain = {**asdict(self), "kernels": [*self.kernels], "gates": [*self.gates]}
        return {"kind": "chain", **plain}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        kernels, gates = tuple(value["kernels"]), tuple(value["gates"])
        return cls(kernels, gates, value["channels"], value["space"], value["found_by"])


@dataclass(frozen=True)
class ChainSpace(Space):
    slots: int = 2
    channels: int = 4
    name: str = "chain"

    @cached_property
    def groups(self) -> dict[str, Group]:
        rows = tuple(f"slot {slot}" for slot in range(self.slots))
        sets = (1,) * self.slots
        return {
            "kernel": Group("kernels", rows, KERNELS, sets),
            "gate": Group("gates", rows, GATES, sets),
        }

    def build(self, choices: Choices, found_by: Mapping[str, Any] | None = None) -> Chain:
        kernels = tuple(int(name) for ((name, _),) in choices["kernel"])
        gates = tuple(name == "on" for ((name, _),) in choices["gate"])
        return Chain(kernels, gates, self.channels, self.name, dict(found_by or {}))

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        return replace(self, **changes)

    def choose_within(
        self, shares: Mapping[str, Tensor], bounds: Sequence[Bound]
    ) -> tuple[Choices | None, list[float]]:
        every = [self.architecture(point) for point in product(*map(range, self.sizes))]
        inside = [each for each in every if all(bound.admits(each.choices) for bound in bounds)]
        least = [min(b.sign * b.costs.of(each.choices) for each in every) for b in bounds]

        def score(one: AnyArchitecture) -> float:
            path = self.path(one)
            return sum(float((path[name] * shares[name].log()).sum()) for name in path)

        best = max(inside, key=score, default=None)
        return None if best is None else best.choices, least

    def read_costs(self, content: Mapping[str, Any]) -> "ChainCosts":
        return ChainCosts(content["kernels"], content["rest"])


@dataclass(frozen=True)
class ChainCosts(Costs):
    kernels: list[float]
    rest: float

    def of(self, choices: Choices) -> float:
        pairs = zip(choices["kernel"], choices["gate"], strict=True)
        on = [kernel for ((kernel, _),), ((gate, _),) in pairs if gate == "on"]
        return self.rest + sum(self.kernels[KERNELS.index(kernel)] for kernel in on)

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        kernel, gate = (rows / rows.sum(dim=1, keepdim=True) for rows in shares.values())
        costs = torch.tensor(self.kernels).to(kernel)
        return self.rest + ((kernel * costs).sum(dim=1) * gate[:, 1]).sum()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Layers(nn.Module):
    """The stem, the slots as a list of modules, and the classifier."""

    def __init__(
        self, slots: Sequence[nn.Module], channels: int, in_channels: int, classes: int
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, channels, 3, 4, 1)
        self.slots = nn.ModuleList(slots)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        x = self.stem(images)
        for slot in self.slots:
            x = x + slot(x)
        return self.classifier(x.mean(dim=(2, 3))), None


def build_slot(channels: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


class MixedChain:
    searched_channels = None

    def __init__(
        self, space: ChainSpace, in_channels: int, classes: int, partial: int, skip: bool
    ) -> None:
        if partial > 1 or skip:
            raise ValueError("a chain has no partial channels and auxiliary skips")
        slots = [
            nn.ModuleDict({name: build_slot(space.channels, int(name)) for name in KERNELS})
            for _ in range(space.slots)
        ]
        self.skeleton: Any = Layers(slots, space.channels, in_channels, classes)

    def run_with(self, executor: Any) -> None:
        """A chain is computed in one way only."""

    def __call__(self, images: Tensor, mixing: Mapping[str, Tensor]) -> Tensor:
        x = self.skeleton.stem(images)
        for slot, kernels, gate in zip(
            self.skeleton.slots, mixing["kernel"], mixing["gate"], strict=True
        ):
            mixed = [share * slot[name](x) for share, name in zip(kernels, KERNELS, strict=True)]
            x = x + gate[1] * sum(mixed)
        logits: Tensor = self.skeleton.classifier(x.mean(dim=(2, 3)))
        return logits

    def operations(self) -> dict[str, nn.Module]:
        slots = enumerate(self.skeleton.slots)
        return {f"{place}.{name}": slot[name] for place, slot in slots for name in KERNELS}


def build_net(chain: Chain, in_channels: int, classes: int, auxiliary: bool) -> Layers:
    kept = [k for k, on in zip(chain.kernels, chain.gates, strict=True) if on]
    slots = [build_slot(chain.channels, kernel) for kernel in kept]
    return Layers(slots, chain.channels, in_channels, classes)


def inherit(chain: Chain, layers: Layers, mixed: MixedChain) -> None:
    layers.stem.load_state_dict(mixed.skeleton.stem.state_dict())
    layers.classifier.load_state_dict(mixed.skeleton.classifier.state_dict())
    kept = [place for place, on in enumerate(chain.gates) if on]
    for slot, place in zip(layers.slots, kept, strict=True):
        trained = mixed.skeleton.slots[place][str(chain.kernels[place])]
        slot.load_state_dict(trained.state_dict())


def measure(
    space: ChainSpace,
    cost: Callable[[nn.Module, Tensor], float],
    images: Images,
    device: torch.device | str,
) -> ChainCosts:
    with torch.device(device):
        none = Layers([], space.channels, images.channels, images.classes)
        rest = cost(none, torch.zeros(1, images.channels, images.side, images.side))
        x = torch.zeros(1, space.channels, *[math.ceil(images.side / 4)] * 2)
        kernels = [cost(build_slot(space.channels, int(name)), x) for name in KERNELS]
    return ChainCosts(kernels, rest)


def write_code(layers: Layers, renamed: dict[str, str]) -> Iterator[str]:
    built, flow = [*assign("stem", layers.stem)], ["x = self.stem(images)"]
    for place, slot in enumerate(layers.slots):
        built += assign(f"slot{place}", slot)
        flow.append(f"x = x + self.slot{place}(x)")
        renamed[f"skeleton.slots.{place}"] = f"slot{place}"
    built += assign("classifier", layers.classifier)
    renamed |= {f"skeleton.{name}": name for name in ("stem", "classifier")}
    flow.append("return self.classifier(x.mean(dim=(2, 3)))")
    yield write_class("Net", "A chain.", built, "images", flow)


CHAIN = Kind(ChainSpace, Chain, MixedChain, build_net, inherit, measure, write_code)
