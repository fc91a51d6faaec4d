"""Too little memory: which setting to lower, and to what."""

import gc
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy

from darts_lite.data.image_data import ImageData
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.training.memory import about_memory, return_freed_memory

EVALUATING = ("evaluation_loop", "prediction_loop")
"""Lightning's modules that run a validation, a test or a prediction."""


@contextmanager
def advising(trainer: Trainer, model: LightningModule, data: ImageData) -> Iterator[None]:
    """Turns an error about memory into advice.

    Smaller batches are tried with the same net, in passes whose results are thrown away. The
    training itself has ended by then: its checkpoints are as they were.

    Raises:
        ValueError: naming the batch size that did not fit, and one that does.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not about_memory(error):
            raise
        evaluating = _in_evaluation(error.__traceback__)
        # They hold on to the very tensors that were too many.
        traceback.clear_frames(error.__traceback__)
        message = _advice(trainer, model, data, evaluating)
        raise ValueError(message) from error


def largest_fit(size: int, attempt: Callable[[int], None]) -> int | None:
    """The first of size / 2, size / 4, ... with which an attempt has enough memory.

    Args:
        size: Which did not fit.
        attempt: Called with a size.
    """
    while (size := size // 2) > 0:
        gc.collect()
        return_freed_memory()  # else a smaller batch may find no room between what is left
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            # A thread in which oneDNN was short of memory for its code never has any again.
            with ThreadPoolExecutor(1) as fresh:
                fresh.submit(attempt, size).result()
        except (RuntimeError, MemoryError) as error:
            if not about_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)
        else:
            return size
    return None


def _advice(trainer: Trainer, model: LightningModule, data: ImageData, evaluating: bool) -> str:
    paired = getattr(model, "paired_batches", False)
    training = "search_batch_size" if paired else "batch_size"
    setting = "evaluation_batch_size" if evaluating else training
    size = min(int(data.hparams[setting]), max(data.split_sizes.values()))
    device = trainer.strategy.root_device
    start = f"{device.type} has too little memory for {size} images at once; set data.{setting} "
    # Of several processes, only this one may be short of memory: the others would be waited for.
    alone = trainer.world_size == 1
    if not (alone and isinstance(model, ArchitectureSearch | Retraining)):
        return f"{start}to less, half of it for a start"
    step = step_of(trainer, model, data, evaluating)
    # With a quarter more, for what else a step has in memory, as images before augmentation.
    found = largest_fit(size, lambda size: step(size + size // 4))
    if found is None:
        return f"{start}to 1 and choose a smaller net: not even one image fits"
    return f"{start}to {found}, which was tried and fits"


def step_of(
    trainer: Trainer,
    model: ArchitectureSearch | Retraining,
    data: ImageData,
    evaluating: bool = False,
) -> Callable[[int], None]:
    """What takes the memory of a step with so many images, in the precision of the trainer."""
    device = trainer.strategy.root_device
    model.to(device)  # from where Lightning has put it away
    dtype = torch.float64 if trainer.precision == "64-true" else torch.float32
    shape = (data.in_channels, data.image_size, data.image_size)

    def step(size: int) -> None:
        images = torch.zeros(size, *shape, dtype=dtype, device=device)
        labels = torch.zeros(size, dtype=torch.long, device=device)
        with trainer.precision_plugin.forward_context():
            _passes(model, images, labels, evaluating)

    return step


def _passes(
    model: ArchitectureSearch | Retraining, images: Tensor, labels: Tensor, evaluating: bool
) -> None:
    """What takes the memory of a step; its results are thrown away."""
    model.train(not evaluating)
    if evaluating:
        with torch.no_grad():
            if isinstance(model, Retraining):
                model(images)
            else:
                model.supernet(images, model.mixture.expected(model.progress))
    elif isinstance(model, Retraining):
        model.net.zero_grad()
        logits, auxiliary = model.net.forward_auxiliary(images)
        loss = cross_entropy(logits, labels)
        (loss if auxiliary is None else loss + cross_entropy(auxiliary, labels)).backward()
    else:
        model.alphas_gradients(images, labels, images, labels)
        model.weights_gradients(images, labels)


def _in_evaluation(trace: TracebackType | None) -> bool:
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(trace)]
    return any(module.endswith(EVALUATING) for module in modules)
