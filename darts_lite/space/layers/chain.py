"""The frozen result of a search in a space of layers, and what each of its layers costs."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, lru_cache
from reprlib import repr as short
from typing import Any, NamedTuple, Self

from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import Choices, Diagram
from darts_lite.space.layers.device_costs import count_needs
from darts_lite.space.maps import check_axes, name_shape
from darts_lite.space.protocol import HEADER, AnyArchitecture, check_header

LARGEST_KERNEL, LARGEST_WIDTH, LARGEST_EXPANSION, LARGEST_HEAD = 31, 4096, 32, 64
MOST_BLOCKS = 1000
PLAIN, RESIDUAL, FULL, DEPTHWISE = "plain", "residual", "full", "depthwise"


@dataclass(frozen=True)
class Block:
    """A depthwise convolution and one of 1x1 behind it, or one full convolution.

    Args:
        kernel: Side of the depthwise or full kernel, odd.
        width: Number of channels that leave the block.
        stride: 2 halves the map.
        expansion: Factor by which a convolution of 1x1 in front widens the map; 0 means there is
            none.
        residual: Whether what enters is added to what leaves.
        full: Whether it is one convolution from all channels to all; it has no expansion.
    """

    kernel: int
    width: int
    stride: int = 1
    expansion: int = 0
    residual: bool = False
    full: bool = False

    def name(self, axes: int) -> str:
        """Returns it as text; see `Chain.genotype`."""
        front = f"{FULL}." if self.full else f"e{self.expansion}." if self.expansion else ""
        behind = "/2" if self.stride == 2 else "+" if self.residual else ""
        return f"{front}{name_shape(self.kernel, axes)}-{self.width}{behind}"


class Step(NamedTuple):
    """One layer of a chain for images of one size, as it is computed."""

    name: str
    kind: str  # what takes time in the same way: as ``full 3x3``, ``depthwise 5x5``, ``mean``
    side: int  # of the map that leaves it
    channels: int
    weights: int  # of the convolution or of the linear layer
    parameters: int  # with those of the norm behind it
    multiply_adds: int
    values: int  # numbers in memory: what enters, what leaves, and what a residual block keeps

    @property
    def flash(self) -> int:
        """Bytes of an int8 file: one for a weight; bias and scale of a channel take four each."""
        return self.weights + 8 * self.channels * (self.weights > 0)


@dataclass(frozen=True)
class Chain(AnyArchitecture):
    """A stem, blocks in a row, means over the map or over parts of it, and a linear layer.

    Args:
        stem_kernel: Side of the first convolution's kernel.
        stem_width: Number of channels behind it.
        stem_stride: Its stride.
        blocks: In their order.
        halved: Whether the image is first reduced to half its side.
        head: Side of the map of means that the linear layer reads; 1 is the mean over the map.
        space: Name of the search space.
        chosen: What was chosen of each group of the space; empty for a chain from elsewhere.
        found_by: How it was found (algorithm, seed, steps, ...), as plain JSON values.
        axes: Number of axes of the maps: 2 for images, 1 for signals, whose kernels are 1 x k.

    Raises:
        ValueError: if a value is out of its range, or a residual block changes the map's shape.
    """

    stem_kernel: int
    stem_width: int
    stem_stride: int
    blocks: tuple[Block, ...]
    halved: bool = False
    head: int = 1
    space: str = "layers"
    chosen: Choices = field(default_factory=dict)
    found_by: dict[str, Any] = field(default_factory=dict)
    axes: int = 2

    def __post_init__(self) -> None:
        check_axes(self.axes)
        if len(self.blocks) > MOST_BLOCKS:
            raise ValueError(f"blocks: a chain has at most {MOST_BLOCKS}, got {len(self.blocks)}")
        if not (type(self.head) is int and 1 <= self.head <= LARGEST_HEAD):
            raise ValueError(f"head must be 1 to {LARGEST_HEAD}, got {short(self.head)}")
        width = self.stem_width
        for place, block in enumerate((self.stem, *self.blocks)):
            name = f"blocks[{place - 1}]" if place else "stem"
            _check_block(name, block)
            if block.residual and (block.stride != 1 or block.width != width):
                raise ValueError(
                    f"{name} is residual, and needs stride 1 and the {width} channels that enter "
                    f"it; got stride {block.stride} and {block.width} channels"
                )
            width = block.width

    def __str__(self) -> str:
        return self.genotype()

    @property
    def choices(self) -> Choices:
        return self.chosen

    @property
    def diagrams(self) -> dict[str, Diagram]:
        """The chain, as a graph with one edge for each layer."""
        names = [self._stem_text, *self._block_texts]
        states = ("image", *(f"{place}" for place in range(len(names))))
        edges = tuple(((name, place),) for place, name in enumerate(names))
        return {"chain": Diagram("chain", states, edges, (len(names),), "mean")}

    @property
    def frame(self) -> Mapping[str, Any]:
        return {}

    @property
    def size(self) -> str:
        return f"{len(self.blocks)} blocks of {self.stem_width} to {self._last_width} channels"

    @property
    def sees(self) -> bool:
        return True

    @property
    def _last_width(self) -> int:
        return self.blocks[-1].width if self.blocks else self.stem_width

    @property
    def stem(self) -> Block:
        """The first convolution, which is a full one."""
        return Block(self.stem_kernel, self.stem_width, self.stem_stride)

    @property
    def _stem_text(self) -> str:
        return f"stem {self.stem.name(self.axes)}"

    @property
    def _block_texts(self) -> list[str]:
        return [block.name(self.axes) for block in self.blocks]

    def genotype(self) -> str:
        """Returns the chain as text: ``half stem 5x5-10/2 7x7-10 3x3-10+ e2.7x7-16/2``.

        A block is its kernel and its width, behind ``e2.`` if it is expanded and ``full.`` if it is
        one full convolution; ``/2`` halves the map, ``+`` is residual. Behind ``head
        3x3`` the linear layer reads nine means. Kernels of signals are ``1x7``.
        """
        words = ["half"] * self.halved + [self._stem_text, *self._block_texts]
        return " ".join(words + [f"head {name_shape(self.head, self.axes)}"] * (self.head > 1))

    def steps(self, images: Images) -> tuple[Step, ...]:
        """Returns the layers with what they cost; see `darts_lite.networks.layers.chain_net`."""
        if images not in self._known_steps:  # every cost of a budget asks
            self._known_steps[images] = tuple(self._list_steps(images))
        return self._known_steps[images]

    @cached_property
    def _known_steps(self) -> dict[Images, tuple[Step, ...]]:
        return {}

    def count_bytes(self, images: Images) -> Mapping[str, int]:
        steps = self.steps(images)
        return {
            "memory": max(step.values for step in steps),
            "flash": sum(step.flash for step in steps),
            **count_needs(self, images),
        }

    def _list_steps(self, images: Images) -> Iterator[Step]:
        channels, side, axes = images.channels, images.side, self.axes
        if self.halved:
            yield (half := halve_images(images, axes))
            side = half.side
        yield (first := make_step(self._stem_text, (channels, side), self.stem, axes))
        channels, side = first.channels, first.side
        for block in self.blocks:
            *_, last = steps = list_steps(block, channels, side, axes)
            yield from steps
            channels, side = last.channels, last.side
        yield from list_last_steps((channels, side), self.head, images.classes, axes)

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        refuse_frame(changes)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, as ``architecture.json`` and checkpoints hold them."""
        plain = {
            **asdict(self),
            "blocks": [asdict(block) for block in self.blocks],
            "chosen": {
                name: [[list(row) for row in kept] for kept in sets]
                for name, sets in self.chosen.items()
            },
        }
        if self.axes == 2:  # what files of images have always held
            del plain["axes"]
        return {**HEADER, "kind": "layers", **plain}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Builds a chain from what `to_dict` returns, and checks every value."""
        check_header(value)
        value = {"axes": 2, **value}
        names = [one.name for one in fields(cls)]
        if unknown := [name for name in value if name not in (*names, *HEADER, "kind")]:
            raise ValueError(f"unknown keys {short(unknown)}; a chain has {names}")
        if missing := [name for name in names if name not in value]:
            raise ValueError(f"{missing[0]} is missing")
        kinds = {"blocks": list, "halved": bool, "space": str, "chosen": dict, "found_by": dict}
        for name, kind in kinds.items():
            if not isinstance(value[name], kind):
                raise ValueError(f"{name}: must be a {kind.__name__}, got {short(value[name])}")
        given = {name: value[name] for name in names}
        given["blocks"] = tuple(
            _read_block(place, one) for place, one in enumerate(value["blocks"])
        )
        given["chosen"] = {name: _read_kept(name, sets) for name, sets in value["chosen"].items()}
        return cls(**given)


def refuse_frame(changes: Mapping[str, Any]) -> None:
    """Raises ValueError if a setting of a frame is given: all of a chain is chosen."""
    for name, value in changes.items():
        if value is not None:
            raise ValueError(f"a chain of layers has no {name} beside what is chosen; leave it out")


def halve_images(images: Images, axes: int) -> Step:
    """Returns the layer that reduces images to half their side."""
    side = math.ceil(images.side / 2)
    held = images.channels * (images.side**axes + side**axes)
    return Step("half", "half", side, images.channels, 0, 0, 0, held)


def make_step(name: str, enters: tuple[int, int], block: Block, axes: int) -> Step:
    """Returns the layer of a full convolution with a norm; `enters` is channels and side."""
    channels, side = enters
    after = math.ceil(side / block.stride)
    weights = block.kernel**axes * channels * block.width
    held = channels * side**axes + block.width * after**axes
    return Step(
        name,
        name_kind(FULL, block.kernel, axes),
        after,
        block.width,
        weights,
        weights + 2 * block.width,
        weights * after**axes,
        held,
    )


def name_kind(kind: str, kernel: int, axes: int) -> str:
    """Returns the kind of a convolution as a `Step` holds it."""
    return f"{kind} {name_shape(kernel, axes)}"


@lru_cache(maxsize=10_000)  # a search asks for thousands of chains of the same few blocks
def list_steps(block: Block, channels: int, side: int, axes: int) -> tuple[Step, ...]:
    """Returns the layers of a block that reads a map of `channels` and `side`."""
    name = name_shape(block.kernel, axes) + ("/2" if block.stride == 2 else "")
    if block.full:
        name = f"{FULL} {name}" + "+" * block.residual
        return (make_step(name, (channels, side), block, axes),)
    kept = channels * side**axes if block.residual else 0  # beside what other layers read
    inner, norm = channels, 0
    widening: tuple[Step, ...] = ()
    if block.expansion:
        inner = block.expansion * channels
        norm = 2 * inner
        widening = (make_step("1x1", (channels, side), Block(1, inner), axes),)
    after, weights = math.ceil(side / block.stride), block.kernel**axes * inner
    held = inner * (side**axes + after**axes) + (kept if block.expansion else 0)
    kind, parameters = name_kind(DEPTHWISE, block.kernel, axes), weights + norm
    deep = Step(name, kind, after, inner, weights, parameters, weights * after**axes, held)
    last = make_step("1x1" + "+" * block.residual, (inner, after), Block(1, block.width), axes)
    return (*widening, deep, last._replace(values=last.values + kept))


def list_last_steps(enters: tuple[int, int], head: int, classes: int, axes: int) -> Iterator[Step]:
    """Yields the means over a map of `enters` channels and side, and the linear layer."""
    channels, side = enters
    means = channels * head**axes
    yield Step("mean", "mean", head, channels, 0, 0, 0, channels * side**axes + means)
    weights = means * classes
    parameters, held = weights + classes, means + classes
    yield Step("linear", "linear", 1, classes, weights, parameters, weights, held)


def _check_block(name: str, block: Block) -> None:
    """Raises ValueError if a value of a block is out of its range."""
    numbers = (block.kernel, block.width, block.stride, block.expansion)
    flags = (block.residual, block.full)
    if not all([type(n) is int for n in numbers] + [type(flag) is bool for flag in flags]):
        raise ValueError(
            f"{name}: needs integers, and residual and full true or false; got {block!r}"
        )
    if not (1 <= block.kernel <= LARGEST_KERNEL and block.kernel % 2):
        raise ValueError(f"{name}: kernel must be odd, 1 to {LARGEST_KERNEL}; got {block.kernel}")
    if not (1 <= block.width <= LARGEST_WIDTH and block.stride in (1, 2)):
        raise ValueError(
            f"{name}: width must be 1 to {LARGEST_WIDTH} and stride 1 or 2; got {block.width} and "
            f"{block.stride}"
        )
    if not 0 <= block.expansion <= LARGEST_EXPANSION:
        raise ValueError(
            f"{name}: expansion must be 0 to {LARGEST_EXPANSION}, got {block.expansion}"
        )
    if block.full and block.expansion:
        raise ValueError(f"{name}: a full convolution has no expansion, got {block.expansion}")


def _read_block(place: int, value: Any) -> Block:
    names = {one.name for one in fields(Block)}
    if not isinstance(value, Mapping) or {*value, "full"} != names:  # older files lack it
        raise ValueError(f"blocks[{place}]: must have the keys {sorted(names)}, got {short(value)}")
    return Block(**value)


def _read_kept(name: str, sets: Any) -> tuple[tuple[tuple[str, int], ...], ...]:
    """Reads what was chosen of a group; raises ValueError if it is anything else."""
    try:
        kept = tuple(tuple((option, row) for option, row in one) for one in sets)
    except (TypeError, ValueError):
        kept = ((("", ""),),)
    if not all(isinstance(o, str) and type(row) is int for one in kept for o, row in one):
        raise ValueError(f"chosen.{name}: must hold pairs of option and row, got {short(sets)}")
    return kept
