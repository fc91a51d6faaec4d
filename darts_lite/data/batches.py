"""Batches as a few tensor operations on the training device; there are no worker processes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

import torch
from torch import Tensor

from darts_lite.distributed.ranks import WHOLE, Part

Batch = tuple[Tensor, Tensor]  # (B, C, H, W) float32, (B,) int64


@dataclass(eq=False)
class Batches:
    """The batches of one split, as often as asked for.

    With a ``shuffle_key`` the order is a function of the key and the epoch alone, and the last
    incomplete batch is dropped unless it is the only one; without one, every image comes, in order.
    Each of several ranks gets its own part of what one process would see in a larger batch; of a
    shuffled epoch the ranks get equally much, and at most a few images are left out for that.

    Args:
        images: uint8 (N, C, H, W), on the device where batches are wanted
        labels: int64 (N,), there as well
        indices: which images belong to the split (n,)
        prepare: turns uint8 (B, C, H, W), such a part of a batch, into what a network sees
        batch_size: images per batch and rank
        shuffle_key: names the random orders; None keeps the order of ``indices``
        length: batches per epoch and rank; None takes one pass, more take several, each shuffled
        epoch: tells which epoch it is, so that a resumed run goes on with that epoch's order
        part: which images of each joint batch
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    prepare: Callable[[Tensor, Part], Tensor]
    batch_size: int
    shuffle_key: str | None = None
    length: int | None = None
    epoch: Callable[[], int] = field(default_factory=lambda: count().__next__)
    part: Part = WHOLE
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
            wanted = (self.length or 0) * self.batch_size * ranks
            passes = range(max(1, -(-wanted // len(order))))
            order = torch.cat(
                [order[torch.randperm(len(order), generator=generator)] for _ in passes]
            )
            order = order[: len(order) // ranks * ranks]
        order = order[rank::ranks].to(self.images.device)
        first, self._skip = self._skip, 0
        for batch in range(first, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            self._given = batch + 1
            images = self.images.index_select(0, chosen)  # (B, C, H, W)
            yield self.prepare(images, self.part), self.labels.index_select(0, chosen)

    def state_dict(self) -> dict[str, int]:
        """How many batches of the running epoch were given out: Lightning resumes with it."""
        return {"given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next pass begin after the batches given out; a whole epoch counts as none."""
        if not isinstance(state.get("given"), int):
            raise ValueError(f"batches that were given out must be a number, got {state}")
        self._skip = state["given"] % len(self)


@dataclass(eq=False)
class PairedBatches:
    """Two disjoint splits side by side, as the bilevel search reads them; the shorter one ends."""

    weights: Batches
    alphas: Batches

    def __len__(self) -> int:
        return min(len(self.weights), len(self.alphas))

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        for weights, alphas in zip(self.weights, self.alphas, strict=False):
            yield {"weights": weights, "alphas": alphas}

    def state_dict(self) -> dict[str, int]:
        """How many pairs of the running epoch were given out."""
        return self.alphas.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next pass begin after the pairs that were given out."""
        for part in (self.alphas, self.weights):
            part.load_state_dict(state)
            part._skip %= len(self)
