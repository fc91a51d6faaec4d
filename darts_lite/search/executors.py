"""Chooses the executor that computes a supernet's cells, folded or literal, by a fixed rule.

Both compute the same. Folding saves passes over maps and pays with products of C x C matrices
(`darts_lite.networks.folded.executor`), so it wins if cells are narrow and loses if they are wide.
The rule knows device, precision and channels. It was measured on a CPU (docs/benchmarks/speed.md,
"Which executor"); on a GPU, folding launches a fraction of the kernels, but none has been measured.
"""

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from darts_lite.networks.cells.mixed import Executor, Literal
from darts_lite.networks.cells.sampled import Sampled
from darts_lite.networks.folded.executor import Folded
from darts_lite.networks.supernet import Supernet
from darts_lite.training.memory import MARGIN, read_free_bytes

if TYPE_CHECKING:  # thrice as long to import as torch is
    from lightning.pytorch import Trainer

AUTO = "auto"
EXECUTORS: Mapping[str, Callable[[], Executor]] = {
    "folded": Folded,
    "literal": Literal,
    "sampled": Sampled,
}
WIDE, WIDE_MIXED = 96, 128
"""Searched channels of the first cells from which the literal executor is faster on a CPU, in
float32 and in mixed precision."""


def choose_faster(device: str, channels: int, mixed: bool = False) -> str:
    """Returns the faster executor's name; `device` is a type, `channels` those searched first."""
    wide = WIDE_MIXED if mixed else WIDE
    return "literal" if device == "cpu" and channels >= wide else "folded"


def find_name(executor: Executor) -> str:
    """Returns an executor's name in `EXECUTORS`, or else the name of its class."""
    kinds: Mapping[Any, str] = {kind: name for name, kind in EXECUTORS.items()}
    return kinds.get(type(executor), type(executor).__name__)


def estimate_literal_bytes(supernet: Supernet, images: Tensor) -> int:
    """Estimates the memory of a step of the literal executor on images ``(B, C, H, W)``."""
    probe = copy.deepcopy(supernet).to(images).train()
    probe.run_with(Literal())
    even = {kind: torch.full_like(alphas, 0.1) for kind, alphas in probe.alphas.items()}
    kept: dict[int, int] = {}  # address -> bytes, so that shared memory counts once

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = probe(images, even)  # holds its graph, so that no address is used twice
    del logits
    return int(1.5 * sum(kept.values()))  # a step takes more than its forward pass keeps


class Execution:
    """Runs a supernet's cells with an executor, which is given or chosen by the rule.

    Args:
        given: An executor or its name; ``auto`` and None leave it to the rule.
        samples: True if mixing weights draw one candidate, for which there is only one executor.
    """

    def __init__(
        self, supernet: Supernet, given: Executor | str | None = AUTO, samples: bool = False
    ) -> None:
        self.supernet, self.name = supernet, AUTO
        by_default = given in (None, AUTO)
        self.has_choice = supernet.mixed.searched_channels is not None
        if not (self.has_choice or by_default):
            raise ValueError("this space is computed in one way only; leave out model.executor")
        self.by_rule = self.has_choice and by_default and not samples
        self.is_chosen = not self.by_rule
        if self.has_choice:
            default = "sampled" if samples else "folded"
            self.run_with(default if given is None or given == AUTO else given)
        elif samples:
            supernet.run_with(Sampled())

    def run_with(self, executor: Executor | str) -> None:
        """Makes an executor, or the one of this name, compute the cells from now on."""
        self.executor = EXECUTORS[executor]() if isinstance(executor, str) else executor
        self.name = find_name(self.executor)
        self.supernet.run_with(self.executor)

    def choose(self, trainer: "Trainer", data: Any) -> None:
        """Takes the faster executor for which there is enough memory; does so only once."""
        if self.is_chosen:
            return
        supernet, device = self.supernet, trainer.strategy.root_device
        channels = supernet.mixed.searched_channels or 0
        name = choose_faster(device.type, channels, str(trainer.precision).endswith("mixed"))
        if name == "literal" and not self.literal_fits(device, data):
            name = "folded"
        self.run_with(trainer.strategy.broadcast(name))  # ranks may differ in free memory
        self.is_chosen = True

    def literal_fits(self, device: torch.device, data: Any) -> bool:
        """Returns True if there is memory for the literal executor, or if `data` cannot tell."""
        side = getattr(data, "image_size", None)
        if side is None:
            return True
        images = torch.zeros(2, self.supernet.in_channels, side, side)  # norms need two
        bytes_of_one = estimate_literal_bytes(self.supernet, images) / len(images)
        return data.hparams["search_batch_size"] * bytes_of_one <= MARGIN * read_free_bytes(device)

    def resume_with(self, name: str) -> None:
        """Takes the executor that the search began with, if it was left to the rule."""
        if self.by_rule and name in EXECUTORS:
            self.run_with(name)
            self.is_chosen = True
