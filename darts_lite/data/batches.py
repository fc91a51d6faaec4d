"""Batches as a few tensor operations on the training device; there are no worker processes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

import torch
from torch import Tensor

from darts_lite.distributed.ranks import WHOLE, Shard

Batch = tuple[Tensor, Tensor]  # (B, C, H, W) float32; classes (B,) int64, or other targets (B, ...)
CPU = torch.device("cpu")


@dataclass(eq=False)
class Batches:
    """Batches of one split, which can be iterated once per epoch.

    With a ``shuffle_key`` the order depends on the key and the epoch alone, and the last incomplete
    batch is dropped unless it is the only one. Without a key every image comes, in order. Each rank
    gets its own part of the larger batch that one process would see. In a shuffled epoch all ranks
    get equally many images, so a few images may be left out.

    Args:
        read: returns one rank's batch, given its indices (B,) and the rank's share
        indices: the split's images (n,)
        batch_size: images per batch and rank
        shuffle_key: seed of the random orders; None keeps the order of ``indices``
        length: batches per epoch and rank; None takes one pass, more take several, each shuffled
        epoch: returns the current epoch, so that a resumed run goes on with that epoch's order
        part: this rank's share of each joint batch
        device: where `read` wants its indices
    """

    read: Callable[[Tensor, Shard], Batch]
    indices: Tensor
    batch_size: int
    shuffle_key: str | None = None
    length: int | None = None
    epoch: Callable[[], int] = field(default_factory=lambda: count().__next__)
    part: Shard = WHOLE
    device: torch.device = CPU
    _given: int = field(default=0, init=False)
    _skip: int = field(default=0, init=False)

    def __len__(self) -> int:
        rank, ranks = self.part
        if self.shuffle_key is None:
            return -(-len(self.indices[rank::ranks]) // self.batch_size)
        return self.length or max(1, len(self.indices) // ranks // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order, (rank, ranks) = self.indices, self.part
        if self.shuffle_key is not None:
            seed = Random(f"{self.shuffle_key}/{self.epoch()}").getrandbits(63)
            generator = torch.Generator().manual_seed(seed)
            # As many shuffled passes as the epoch needs, cut to equal parts of all ranks.
            wanted = (self.length or 0) * self.batch_size * ranks
            passes = range(max(1, -(-wanted // len(order))))
            shuffled = [torch.randperm(len(order), generator=generator) for _ in passes]
            order = order[torch.cat(shuffled)]
            order = order[: len(order) // ranks * ranks]
        order = order[rank::ranks].to(self.device)
        first, self._skip = self._skip, 0
        for batch in range(first, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            self._given = batch + 1
            yield self.read(chosen, self.part)

    def state_dict(self) -> dict[str, int]:
        """Returns the number of batches given out in this epoch, from which Lightning resumes."""
        return {"given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Starts the next pass after the batches given out, or at 0 after a whole epoch."""
        if not isinstance(state.get("given"), int):
            raise ValueError(f"the state of batches must hold 'given', an integer; got {state}")
        self._skip = state["given"] % len(self)


@dataclass(eq=False)
class PairedBatches:
    """Pairs of batches of two disjoint splits, for the bilevel search; the shorter split ends."""

    weights: Batches
    alphas: Batches

    def __len__(self) -> int:
        return min(len(self.weights), len(self.alphas))

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        for weights, alphas in zip(self.weights, self.alphas, strict=False):
            yield {"weights": weights, "alphas": alphas}

    def state_dict(self) -> dict[str, int]:
        return self.alphas.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Starts the next pass after the pairs given out."""
        for part in (self.alphas, self.weights):
            part.load_state_dict(state)
            part._skip %= len(self)
