"""Writes and reads trained nets as safetensors files, which other programs read too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from darts_lite.networks.kinds import build_architecture
from darts_lite.networks.net import Net
from darts_lite.storage.atomic_files import write_whole

FORMAT, VERSION = "darts_lite/net", 1
TRAINING_ONLY = "skeleton.auxiliary_head."  # prefix of weights that a net needs in training only
NUMBERS = ("in_channels", "num_classes")


def save_weights(net: Net, path: str | Path, about: Mapping[str, Any]) -> None:
    """Writes weights, running statistics, and the values that are needed to build the net again.

    ``about`` holds ``in_channels``, ``num_classes`` and other facts, as plain values.
    """
    known = {"format": FORMAT, "version": VERSION, "architecture": net.architecture.to_dict()}
    # Copies, as the format has neither channels_last nor memory that tensors share.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in net.state_dict().items()
        if not name.startswith(TRAINING_ONLY)
    }
    metadata = {name: json.dumps(value) for name, value in {**known, **about}.items()}
    with write_whole(path) as file:
        file.write(save(tensors, metadata))


def load_weights(path: str | Path) -> tuple[Net, dict[str, Any]]:
    """Returns the net in a file, ready for use, and what the file says about it.

    Nothing in the file is executed, and nothing larger than the file is allocated.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, written by another program, or does not fit its architecture.
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
    about = _read_about(path, metadata)
    try:
        with torch.device("meta"):
            architecture = build_architecture(about["architecture"])
            net = Net(architecture, *(about[name] for name in NUMBERS))
        net.load_state_dict(tensors, assign=True)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"the weights in {path} do not fit its architecture: {reason}") from None
    return net.eval().to(memory_format=torch.channels_last), about


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
