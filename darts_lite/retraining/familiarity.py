"""Tells images that are unlike those a net was trained on by what its last layer reads of them.

The measure is the distance to the nearest training image there (arXiv 2204.06507, with one
neighbour). `benchmarks/familiarity.py` compares it with others: of clothes shown to nets of digits
it marks most, of digits 1 %. Small nets of few photographs see less; that an image is not marked
does not say that the net knows it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from darts_lite.data.batches import Batch
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.foreign_settings import CHANGED

REFERENCES = 256  # largest number of training images whose features are kept
MEASURED = 1000  # largest number of validation images on which the limit is measured
FAMILIAR = 0.99  # share of the validation images that are within the limit
NAME = "familiarity"
"""The entry of a checkpoint."""


@dataclass(frozen=True)
class Familiarity:
    """Looks of a net's training images, as its last layer sees them.

    Args:
        references: Features of training images, of length 1, ``(references, features)``.
        farthest: Largest distance (1 - cosine) to the nearest reference at which an image counts as
            one of their kind.
    """

    references: Tensor
    farthest: float

    @classmethod
    def measure(
        cls, net: nn.Module, training: Iterable[Batch], validation: Iterable[Batch]
    ) -> "Familiarity | None":
        """Measures it on images as they are; None if no linear layer gives the logits."""
        references = compute_features(net, training, REFERENCES)
        others = compute_features(net, validation, MEASURED)
        if references is None or others is None:
            return None
        distances = measure_distances(others, references)
        return cls(references.cpu(), float(distances.quantile(FAMILIAR)))

    def find_unlike(self, features: Tensor) -> Tensor:
        """Returns which images ``(B,)`` are unlike the references, by their features."""
        return measure_distances(features, self.references.to(features.device)) > self.farthest

    def to_dict(self) -> dict[str, Any]:
        """Returns what a checkpoint holds."""
        return {"references": self.references.half(), "farthest": self.farthest}

    @classmethod
    def read(cls, checkpoint: Checkpoint) -> "Familiarity | None":
        """Reads it from a checkpoint; None for one of earlier versions, ValueError if changed."""
        held = checkpoint.content.get(NAME)
        if held is None:
            return None
        known = held if isinstance(held, Mapping) else {}
        references, farthest = known.get("references"), known.get("farthest")
        if not (
            isinstance(references, Tensor)
            and references.ndim == 2
            and len(references)
            and bool(references.float().isfinite().all())
            and isinstance(farthest, float)
        ):
            raise ValueError(f"{checkpoint.path}: {NAME} is {short(held)}; {CHANGED}")
        return cls(references.float(), farthest)


def measure_distances(features: Tensor, references: Tensor) -> Tensor:
    """Returns the distance ``(B,)`` of each row to the nearest reference, 0 to 2."""
    if features.shape[1] != references.shape[1]:
        raise ValueError(f"{NAME} is of another net; {CHANGED}")
    return 1 - (normalize(features.float(), dim=1) @ references.mT).amax(dim=1)


@contextmanager
def reading_features(net: nn.Module) -> Iterator[list[Tensor]]:
    """Collects what the layer that gives the logits reads in each pass, ``(B, features)``.

    It is the linear layer whose answer is the net's, wherever it stands in the code; there may be
    none, and then nothing is collected.
    """
    seen: list[Tensor] = []
    passed: list[tuple[Tensor, Tensor]] = []  # what each layer read and answered

    def keep(layer: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> None:
        if given and given[0].ndim == 2:
            passed.append((given[0].detach(), answer))

    def choose(net: nn.Module, given: Any, logits: Tensor) -> None:
        alike = [read for read, answer in passed if torch.equal(answer, logits)]
        seen.extend(alike[-1:])
        passed.clear()

    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    hooks = [layer.register_forward_hook(keep) for layer in layers]
    hooks.append(net.register_forward_hook(choose))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def compute_features(net: nn.Module, batches: Iterable[Batch], most: int) -> Tensor | None:
    """Returns the features, of length 1, of the first images ``(most, features)``.

    None if no linear layer gives the logits.
    """
    training, dtype = net.training, next(net.parameters()).dtype
    net.eval()
    found, count = [], 0
    with reading_features(net) as seen:
        for images, _ in batches:
            net(images[: most - count].to(dtype))
            if not seen:
                break
            found.append(normalize(seen.pop().float(), dim=1))
            count += len(found[-1])
            if count >= most:
                break
    net.train(training)
    return torch.cat(found) if found else None
