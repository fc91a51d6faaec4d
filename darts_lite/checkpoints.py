"""What a checkpoint says about itself, read without executing anything."""

import pickle
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule

PACKAGE = "darts_lite."


def describe_data(module: LightningModule) -> dict[str, Any]:
    """What a checkpoint keeps of the data a module is trained on, as plain values.

    ``data``: class and settings, from which the same data can be built again; ``data_source``:
    where the images really came from. Empty for a data module that does not tell.
    """
    data: Any = getattr(module.trainer, "datamodule", None)
    if not hasattr(data, "describe"):
        return {}
    return {"data": data.describe(), "data_source": data.data_source}


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of this package.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds code, or was not written by this package.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; give the path of a .ckpt file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch on files of other kinds
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError):
        raise ValueError(
            f"{path} is no readable checkpoint: it is damaged, of another kind, or holds more than "
            "plain values; give an intact .ckpt file of a run"
        ) from None
    model = content.get("model") if isinstance(content, dict) else None
    known = isinstance(model, Mapping) and isinstance(model.get("init_args"), Mapping)
    if not known or not isinstance(content.get("state_dict"), Mapping):
        raise ValueError(f"{path} was not written by darts_lite; give a run's .ckpt file")
    return content


def settings_of(path: str | Path, trusted: Collection[str] = ()) -> dict[str, Any]:
    """The ``model`` and ``data`` groups of a configuration that fit a checkpoint.

    Args:
        path: Of the checkpoint.
        trusted: Modules beside this package's whose classes the user allows to be imported.

    Raises:
        FileNotFoundError, ValueError: see `read_checkpoint`; also if a class of any other module is
            named, which a file may not import.
    """
    content = read_checkpoint(path)
    groups = {name: content[name] for name in ("model", "data") if content.get(name)}
    for class_path in _class_paths(groups):
        module = class_path.rpartition(".")[0]
        if not class_path.startswith(PACKAGE) and module not in trusted:
            raise ValueError(
                f"{path} names the class {class_path!r}, which a checkpoint may not import; if it "
                f"is yours, add --run.imports=[{module}]"
            )
    return groups


def _class_paths(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if key == "class_path":
                yield str(entry)
            yield from _class_paths(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _class_paths(entry)
