"""Settings of Lightning's Trainer that a search decides or cannot follow."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision


def refuse_unsupported(settings: Mapping[str, Any]) -> None:
    """Turns away trainer settings that two optimizers cannot follow.

    Raises:
        ValueError: naming the setting to use instead.
    """
    if settings["gradient_clip_val"] is not None:
        raise ValueError(
            "trainer.gradient_clip_val is not used here; set model.gradient_clip and "
            "retraining.gradient_clip instead"
        )
    if settings["precision"] == "16-true":
        raise ValueError(
            "trainer.precision 16-true overflows; choose 16-mixed, bf16-mixed or 32-true"
        )
    if settings["accumulate_grad_batches"] != 1:
        raise ValueError(
            "trainer.accumulate_grad_batches must stay 1; set data.search_batch_size and "
            "data.batch_size instead"
        )
    for name in ("val_check_interval", "check_val_every_n_epoch"):
        if settings.get(name) == 0:
            raise ValueError(f"trainer.{name} must be above 0 or null, got 0")


def choose_precision(accelerator: str, precision: str | None) -> dict[str, Any]:
    """Trainer settings for a precision; none given: mixed on a CUDA GPU, 32 bits elsewhere.

    bfloat16 where the GPU computes in it, else float16.
    """
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if precision is None:
        native = on_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        mixed = "bf16-mixed" if native else "16-mixed"
        return {"precision": mixed if on_cuda else "32-true"}
    if str(precision) in ("16", "16-mixed") and not on_cuda and accelerator in ("auto", "cpu"):
        # Lightning would silently compute in bfloat16 here.
        scaler = torch.amp.GradScaler("cpu")
        return {"precision": None, "plugins": [MixedPrecision("16-mixed", "cpu", scaler)]}
    return {"precision": precision}
