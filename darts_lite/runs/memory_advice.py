"""Tells which setting to lower, and to what, when memory is too small."""

import gc
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from lightning.pytorch import LightningModule, Trainer

from darts_lite.data.split_data import SplitData
from darts_lite.distributed.ranks import WHOLE
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.failure_point import FailurePoint
from darts_lite.search.base import Search
from darts_lite.training.memory import is_about_memory, return_freed_memory


@contextmanager
def advise_on_memory(trainer: Trainer, model: LightningModule, data: SplitData) -> Iterator[None]:
    """Turns an error about memory into a ValueError with a batch size that fits.

    Tries smaller batches with the same net after the training has failed, and discards the
    results; checkpoints do not change.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_about_memory(error):
            raise
        evaluating = FailurePoint.of(trainer).was_evaluating
        # The frames hold the tensors that filled the memory.
        traceback.clear_frames(error.__traceback__)
        raise ValueError(_advise(trainer, model, data, evaluating)) from error


def find_largest_fit(size: int, attempt: Callable[[int], None]) -> int | None:
    """Returns the first of size / 2, size / 4, ..., 1 that fits into memory; None if none does.

    A size does not fit if `attempt` raises an error about memory when it is called with the size.
    """
    while (size := size // 2) > 0:
        gc.collect()
        return_freed_memory()  # else freed blocks may be too scattered for a smaller batch
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            # In a thread where oneDNN once lacked memory for its code, it fails from then on.
            with ThreadPoolExecutor(1) as fresh:
                fresh.submit(attempt, size).result()
        except (RuntimeError, MemoryError) as error:
            if not is_about_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)
        else:
            return size
    return None


def _advise(trainer: Trainer, model: LightningModule, data: SplitData, evaluating: bool) -> str:
    paired = getattr(model, "paired_batches", False)
    training = "search_batch_size" if paired else "batch_size"
    setting = "evaluation_batch_size" if evaluating else training
    size = min(int(data.hparams[setting]), max(data.split_sizes.values()))
    device = trainer.strategy.root_device
    start = (
        f"{device.type} has too little memory for {size} {data.called} at once; set data.{setting} "
    )
    # Other processes may have enough memory; trials here would wait for them without end.
    alone = trainer.world_size == 1
    if not (alone and isinstance(model, Search | Retraining)):
        return f"{start}to a smaller number, for example half of it"
    step = make_step(trainer, model, data, evaluating)
    # A quarter more stands for what else a step holds, such as images before augmentation.
    found = find_largest_fit(size, lambda size: step(size + size // 4))
    if found is None:
        return f"{start}to 1 and choose a smaller net: not even one {data.word} fits"
    return f"{start}to {found}, which was tried and fits"


def make_step(
    trainer: Trainer,
    model: Search | Retraining,
    data: SplitData,
    evaluating: bool = False,
) -> Callable[[int], None]:
    """Returns a function that runs a step with a given number of images, in the run's precision."""
    device = trainer.strategy.root_device
    model.to(device)  # Lightning has moved it to the CPU
    dtype = torch.float64 if trainer.precision == "64-true" else torch.float32
    seen, one = data.read(
        "train", data.splits["validation"][:1].to(data.device), WHOLE, "evaluation"
    )

    def step(size: int) -> None:
        images = torch.zeros(size, *seen.shape[1:], dtype=dtype, device=device)
        labels = torch.zeros(size, *one.shape[1:], dtype=one.dtype, device=device)
        context = trainer.precision_plugin.forward_context()
        with context, torch.set_grad_enabled(not evaluating):
            model.try_passes(images, labels, evaluating)

    return step
