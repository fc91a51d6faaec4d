"""Chooses the device and the precision of a trainer."""

import warnings
from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision

PRECISIONS = {
    "32-true": torch.float32,
    "16-mixed": torch.float16,
    "bf16-mixed": torch.bfloat16,
    "64-true": torch.float64,
}
"""Precisions of a run, with the types of its matrix products."""
SHORT = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed", "64": "64-true"}
ACCELERATORS = {
    "auto": ("cuda", "mps", "cpu"),
    "gpu": ("cuda", "mps"),
    "cuda": ("cuda",),
    "mps": ("mps",),
    "cpu": ("cpu",),
}
"""Devices that an accelerator may stand for, the preferred one first."""


def choose_precision(accelerator: str, precision: str | int | None) -> dict[str, Any]:
    """Returns the trainer's settings for a precision.

    Args:
        accelerator: One of `ACCELERATORS`.
        precision: None chooses 32 bits, but on a CUDA GPU mixed with bfloat16, else float16.

    Raises:
        ValueError: if the device is missing, or cannot train in this precision.
    """
    device = choose_device(accelerator)
    if precision is None:
        if device != "cuda":
            return {"precision": "32-true"}
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return {"precision": "bf16-mixed" if native else "16-mixed"}
    name = SHORT.get(str(precision), str(precision))
    if name not in PRECISIONS or not computes(device, name):
        usable = ", ".join(one for one in PRECISIONS if computes(device, one))
        raise ValueError(
            f"trainer.precision {precision} is not for training on this {device}; choose one of "
            f"{usable}, or null for the device's default"
        )
    if name == "16-mixed" and device != "cuda":
        # Lightning would silently compute in bfloat16 on CPUs.
        scaler = torch.amp.GradScaler(device)
        return {"precision": None, "plugins": [MixedPrecision("16-mixed", device, scaler)]}
    return {"precision": name}


def choose_device(accelerator: str) -> str:
    """Returns the type of device that an accelerator stands for on this machine.

    Raises:
        ValueError: if the machine has no such device.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    for device in ACCELERATORS.get(accelerator, ()):
        if present[device]:
            return device
    here = [name for name, devices in ACCELERATORS.items() if any(map(present.get, devices))]
    raise ValueError(
        f"trainer.accelerator: {accelerator} is not available on this machine; choose "
        f"{' or '.join(here)}"
    )


def computes(device: str, precision: str) -> bool:
    """Returns whether a device can train in a precision, by taking one step of a tiny model."""
    kind = PRECISIONS[precision]
    wide = torch.promote_types(kind, torch.float32)
    try:
        weight = torch.nn.Parameter(torch.ones(2, 2, dtype=wide, device=device))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # autocast warns where it has no effect
            with torch.autocast(device, kind, enabled=precision.endswith("mixed")):
                product = weight @ weight
        scaler = torch.amp.GradScaler(device, enabled=precision == "16-mixed")
        scaler.scale(product.float().sum()).backward()
        scaler.step(torch.optim.SGD([weight], lr=0.1))
    except (RuntimeError, TypeError):  # NotImplementedError is one
        return False
    return product.dtype == kind
