"""Needs of a chain on a small device: the arena of the micro interpreter, and its int8 file.

The layers become the operations of a LiteRT file; where a stride meets an even side, one of them
pads, or a kernel grows if that takes less. The arena holds the maps, planned as the interpreter
plans them, and its records of tensors and operations, whose sizes were measured with tflite-micro
of October 2026 and pointers of 8 bytes. `benchmarks/device.py` compares both numbers with the
interpreter's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from darts_lite.space.cost_tables import Costs, Images
from darts_lite.space.litert_padding import count_padding, grows

NAMES = ("arena", "file")
"""Costs of a device, in bytes."""
ALIGNED = 16
"""Bytes to whose multiples the interpreter rounds each part of its arena."""
OTHER, OF_OPERATION, OF_CONVOLUTION, PLANNED = 872, 160, 88, 48
"""Bytes of the arena: in any net, for each operation, for each convolution more, and for each
tensor while memory is planned."""
FILE, FILE_OF_TENSOR, FILE_OF_OPERATION, FILE_OF_SCALE = 432, 51, 60, 6
"""Bytes of a file: of any, for each tensor, operation and scale, beside the numbers themselves."""
FILE_OF_LENGTH, FILE_OF_ZERO = 62, 5
"""Bytes for the list of zero points of each number of channels, and for each of these."""


class Held(NamedTuple):
    """A map in the arena: its bytes, and the operations that first write and last read it."""

    size: int
    first: int
    last: int


@dataclass
class Program:
    """The operations of a LiteRT file, as far as memory depends on them.

    Attributes:
        axes: Number of axes of the maps.
        maps: Bytes of each map, the image first.
        first, last: The operations that write and last read each map; the image is there at first.
        kinds: Kind of each operation.
        tensors: Number of tensors, constants included.
        channels: Channels of each convolution and of the linear layer.
        constants: Bytes of weights, biases and other constants.
    """

    axes: int
    maps: list[int]
    first: list[int] = field(default_factory=lambda: [0])
    last: list[int] = field(default_factory=lambda: [0])
    kinds: list[str] = field(default_factory=list)
    tensors: int = 1
    channels: list[int] = field(default_factory=list)
    constants: int = 0

    def run(self, kind: str, reads: list[int], size: int, constants: int = 0, held: int = 0) -> int:
        """Adds an operation that reads maps, and returns the number of the map that it writes.

        Args:
            constants: Number of constant tensors that it reads.
            held: Their bytes.
        """
        place = len(self.kinds)
        for number in reads:
            self.last[number] = place
        self.kinds.append(kind)
        self.maps.append(size)
        self.first.append(place)
        self.last.append(place)
        self.tensors += 1 + constants
        self.constants += held
        return len(self.maps) - 1

    def convolve(self, entering: int, channels: int, side: int, weights: int) -> int:
        """Adds a convolution with its bias; `side` and `channels` are those of what it writes."""
        self.channels.append(channels)
        size = channels * side**self.axes
        return self.run("convolution", [entering], size, 2, weights + 4 * channels)

    def convolve_strided(
        self,
        entering: int,
        shape: tuple[int, int],
        kernel: int,
        stride: int,
        channels: int,
        full: bool,
    ) -> tuple[int, int]:
        """Adds a convolution, and before it what pads its map if the file needs that.

        Args:
            shape: Channels and side of the map that enters.
            full: Whether each channel reads all channels.

        Returns:
            The map that it writes, and its side.
        """
        before, side = shape
        kernels = channels * (before if full else 1)
        if self.axes == 2 and grows(side, kernel, stride, kernels):
            kernel += 1
        elif count_padding(side, kernel, stride) != 2 * (kernel // 2):
            padded = before * (side + 2 * (kernel // 2)) ** self.axes
            entering = self.run("pad", [entering], padded, 1, 32)
        after = math.ceil(side / stride)
        return self.convolve(entering, channels, after, kernel**self.axes * kernels), after

    def plan(self) -> int:
        """Returns the bytes of all maps, placed as the interpreter's greedy planner places them."""
        spans = zip(self.maps, self.first, self.last, strict=True)
        held = [Held(_align(size), first, last) for size, first, last in spans]
        held.reverse()  # of maps of one size the interpreter places the last one first
        placed: list[tuple[int, Held]] = []
        for one in sorted(held, key=lambda each: -each.size):
            start = 0
            beside = [(at, o) for at, o in placed if o.first <= one.last and one.first <= o.last]
            for at, other in sorted(beside, key=lambda pair: pair[0]):
                if at - start >= one.size:
                    break
                start = max(start, at + other.size)
            placed.append((start, one))
        return max(start + one.size for start, one in placed)


def _align(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def write_program(chain: Any, images: Images) -> Program:
    """Returns the operations of a `darts_lite.Chain`."""
    channels, side, axes = images.channels, images.side, chain.axes
    program, now = Program(axes, [channels * side**axes]), 0
    if chain.halved:
        # A map of an odd side is padded, and what the zeros take from its last means is given back.
        padded, side = side + side % 2, math.ceil(side / 2)
        if padded > images.side:
            now = program.run("pad", [now], channels * padded**axes, 1, 32)
        now = program.run("pool", [now], channels * side**axes)
        if padded > images.side:
            now = program.run("multiply", [now], channels * side**axes, 1, channels * side**axes)
    stem = chain.stem
    now, side = program.convolve_strided(
        now, (channels, side), stem.kernel, stem.stride, stem.width, full=True
    )
    channels = stem.width
    for block in chain.blocks:
        now, side = _add_block(program, now, (channels, side), block)
        channels = block.width
    means = channels * chain.head**axes
    if side < chain.head:
        now = program.run("pad", [now], means, 1, 32)
    elif side > chain.head:
        now = program.run("pool", [now], means)
    program.convolve(now, images.classes, 1, means * images.classes)
    program.kinds[-1] = "linear"
    return program


def _add_block(
    program: Program, entering: int, shape: tuple[int, int], block: Any
) -> tuple[int, int]:
    """Adds a block; returns the map that it writes, and its side."""
    channels, side = shape
    if block.full:
        now, side = program.convolve_strided(
            entering, shape, block.kernel, block.stride, block.width, full=True
        )
    else:
        inner, now = channels, entering
        if block.expansion:
            inner = block.expansion * channels
            now = program.convolve(entering, inner, side, channels * inner)
        now, side = program.convolve_strided(
            now, (inner, side), block.kernel, block.stride, inner, full=False
        )
        now = program.convolve(now, block.width, side, inner * block.width)
    if block.residual:
        now = program.run("add", [entering, now], block.width * side**program.axes)
    return now, side


def count_needs(chain: Any, images: Images) -> dict[str, int]:
    """Returns the bytes of `NAMES` that a chain needs, at least as many as it really does."""
    program = write_program(chain, images)
    tensors, operations = program.tensors, len(program.kinds)
    records = OTHER + OF_OPERATION * operations
    records += OF_CONVOLUTION * program.kinds.count("convolution")
    records += sum(2 * _align(4 * channels) for channels in program.channels)
    file = FILE + FILE_OF_TENSOR * tensors + FILE_OF_OPERATION * operations + program.constants
    file += FILE_OF_SCALE * sum(program.channels)
    file += sum(FILE_OF_LENGTH + FILE_OF_ZERO * length for length in {1, *program.channels})
    return {"arena": records + max(program.plan(), PLANNED * tensors), "file": file}


@dataclass(frozen=True)
class DeviceCosts(Costs):
    """One of `NAMES` for the chains of a space.

    Args:
        name: Which of them.
        images: What the nets are made for.
    """

    name: str
    images: Images

    def of(self, architecture: Any) -> float:
        return float(count_needs(architecture, self.images)[self.name])

    def expected(self, shares: Mapping[str, Tensor]) -> Tensor:
        raise self.refusal

    @property
    def refusal(self) -> ValueError:
        """The error for what needs a sum over layers, which these costs are not."""
        return ValueError(
            "budget.arena and budget.file are no sums over layers, which a search by gradients "
            "needs; set budget.memory and budget.flash instead"
        )

    def to_dict(self) -> dict[str, Any]:
        return {}
