"""Writes and reads tensors as safetensors files, which other programs read too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from darts_lite.storage.atomic_files import write_whole

FORMAT, VERSION = "darts_lite/net", 1
NUMBERS = ("in_channels", "num_classes")


def write_weights(
    path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]
) -> None:
    """Writes tensors, and facts about them, as plain values, into the file's metadata.

    The facts hold ``architecture``, ``in_channels`` and ``num_classes``.
    """
    # Copies, as the format has neither channels_last nor memory that tensors share.
    plain = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    known = {"format": FORMAT, "version": VERSION, **about}
    metadata = {name: json.dumps(value) for name, value in known.items()}
    with write_whole(path) as file:
        file.write(save(plain, metadata))


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors in a file, and what the file says about them.

    Nothing in the file is executed, and nothing larger than the file is allocated.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or written by another program.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no weights at {path}; give the path of a .safetensors file")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file ({error})") from None
    for name, values in tensors.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise ValueError(f"{path}: {name} holds NaN or infinite values; give another file")
    return tensors, _read_about(path, metadata)


def _read_about(path: str | Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        about = {name: json.loads(value) for name, value in metadata.items()}
    except (ValueError, RecursionError):
        about = {}
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by darts_lite; give a run's net.safetensors")
    if about.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {about.get('version')!r} of its format, and this program reads "
            f"{VERSION}; update darts_lite"
        )
    for name in NUMBERS:
        value = about.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{path}: {name} must be an integer of at least 1, got {value!r}")
    if not isinstance(about.get("architecture"), dict):
        raise ValueError(f"{path} holds no architecture; give a run's net.safetensors")
    return about
