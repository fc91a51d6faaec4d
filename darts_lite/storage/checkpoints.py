"""Reads checkpoints without executing anything that a file holds."""

import pickle
import stat
import warnings
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from reprlib import repr as short
from textwrap import shorten
from typing import Any, TypeVar

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor

from darts_lite.storage.components import class_path, flatten, with_public_paths
from darts_lite.storage.data_places import hide_places, recall_place
from darts_lite.storage.foreign_settings import (
    CHANGED,
    PACKAGE,
    check_arguments,
    list_classes,
    refuse_files,
)
from darts_lite.storage.paths import is_there, reading
from darts_lite.storage.user_modules import import_own, is_own
from darts_lite.storage.versions import describe_versions

KINDS: Mapping[str, type] = {
    "state_dict": Mapping,
    "model": Mapping,
    "data": Mapping,
    "epoch": int,
    "global_step": int,
    "pytorch-lightning_version": str,
    "loops": Mapping,
    "callbacks": Mapping,
    "optimizer_states": list,
    "lr_schedulers": list,
}
"""Entries of a checkpoint that this package and Lightning read, with types; some may be missing."""

GROUPS = ("model", "data")
"""Entries that hold class and arguments of the model and the data."""
MOST_VALUES = 10_000_000
"""Largest number of values in a checkpoint, where a tensor counts as one."""
LOADING_ERRORS = (RuntimeError, LookupError, TypeError, AttributeError, OverflowError)
"""Errors from loading content that was changed, or is of another module."""
FORMAT_ERRORS = (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, EOFError)
READING_ERRORS = (
    *(*LOADING_ERRORS, *FORMAT_ERRORS),
    *(ValueError, AssertionError, MemoryError, OSError),  # OSError: a place outside of the file
)
"""Errors that torch's reader raises on damaged files."""

Restored = TypeVar("Restored", bound=LightningModule)


def describe_data(module: LightningModule) -> dict[str, Any]:
    """Returns what a checkpoint keeps about a module's training data, as plain values.

    ``data``: class and arguments, from which the data can be built again, without the place of
    files; ``data_source``: source of the images; ``data_checksum``: by which `recall_place` knows
    their place on this machine; ``held_out``: digests of the files for the test; ``preparation``:
    what was done to images before the net saw them, and ``class_names``; these two may be None. It
    is empty for a data module without the method ``describe``.
    """
    data: Any = getattr(module.trainer, "datamodule", None)
    if not hasattr(data, "describe"):
        return {}
    return {
        "data": hide_places(data.describe()),
        "data_source": data.data_source,
        "data_checksum": data.checksum,
        "held_out": list(data.held_out.digests),
        "preparation": data.preparation and data.preparation.to_dict(),
        "class_names": data.class_names and list(data.class_names),
    }


def complete_checkpoint(
    content: dict[str, Any], module: LightningModule, kind: type, settings: Mapping[str, Any]
) -> None:
    """Adds class, settings, data and versions of the module to a checkpoint that is written.

    Lightning's own copy of the data's arguments is removed, since it tells where images lie.
    """
    content["model"] = {"class_path": class_path(kind), "init_args": dict(settings)}
    content |= describe_data(module) | {"versions": describe_versions()}
    content.pop(LightningDataModule.CHECKPOINT_HYPER_PARAMS_KEY, None)


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file, tensors and plain values, checked and read once."""

    path: Path
    content: dict[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> "Checkpoint":
        """Reads a checkpoint of this package; nothing in the file is executed.

        Raises:
            ValueError: if it is damaged, holds code, or was not written by this package.
            OSError: if it is not there, or cannot be read, and so may be intact.
        """
        path = Path(path)
        damage = (
            f"{path} is not a readable checkpoint: it is damaged, of another kind, or holds more "
            "than plain values; give an intact .ckpt file of a run"
        )
        if not is_there(path):
            raise FileNotFoundError(f"no checkpoint at {path}; give the path of a .ckpt file")
        with reading(path):
            mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for
            raise FileNotFoundError(
                f"{path} is a folder, a pipe or a device, and no checkpoint; give the path of a "
                ".ckpt file"
            )
        with reading(path):
            file = BytesIO(path.read_bytes())  # what fails from here on is the file's own fault
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # torch on files of other kinds
                _check_sums(file)
                file.seek(0)
                content = torch.load(file, map_location="cpu", weights_only=True)
                _check_size(content)
        except READING_ERRORS:
            raise ValueError(damage) from None
        _check_kinds(path, content)
        groups = {name: content[name] for name in GROUPS if content.get(name)}
        return cls(path, content | with_public_paths(groups))

    @property
    def model(self) -> str:
        """The name of the module's class, for example ``ArchitectureSearch``."""
        return str(self.content["model"].get("class_path")).rpartition(".")[2]

    @property
    def settings(self) -> dict[str, Any]:
        """The module's arguments, as plain values; ValueError if one names a file to open."""
        settings = dict(self.content["model"]["init_args"])
        refuse_files(self.path, settings)
        return settings

    @property
    def weights(self) -> dict[str, Tensor]:
        """The module's state dict."""
        return dict(self.content["state_dict"])

    def configuration(self, trusted: Collection[str] = ()) -> dict[str, Any]:
        """Returns the groups ``model`` and ``data`` of the configuration.

        The data lie where this user had them last, whatever the file says.

        Raises:
            ValueError: if a class is neither of this package nor of a `trusted` module itself, or a
                file is named.
        """
        groups = {name: self.content[name] for name in GROUPS if self.content.get(name)}
        for named, arguments in list_classes(groups):
            module = named.rpartition(".")[0]
            if named.startswith(PACKAGE):
                check_arguments(self.path, named, arguments)
            elif module not in trusted:
                raise ValueError(
                    f"{self.path} names the class {short(named)}, which a checkpoint may not "
                    f"import; if it is yours, add --run.imports='[{module}]'"
                )
            else:
                import_own([module])
                if not is_own(named):
                    raise ValueError(
                        f"{self.path} names {short(named)}, which that module does not define "
                        "as a class"
                    )
        refuse_files(self.path, groups["model"])
        if "data" in groups:
            data = hide_places(groups["data"])
            known = recall_place(self.content.get("data_checksum"))
            data["init_args"] |= {n: known[n] for n in known if n in data["init_args"]}
            groups["data"] = data
        return groups

    def restore(self, module: Restored) -> Restored:
        """Loads weights and the rest of the state into a module; ValueError if they do not fit."""
        try:
            module.on_load_checkpoint(self.content)
            module.load_state_dict(self.weights)
        except LOADING_ERRORS as error:
            raise ValueError(explain_misfit(self.path, error)) from error
        return module

    def build(self, kind: type[Restored], **changes: Any) -> Restored:
        """Builds the module that wrote the checkpoint; `changes` replace its arguments.

        Raises ValueError if they, or the weights, do not fit.
        """
        try:
            module = kind(**{**self.settings, **changes})
        except LOADING_ERRORS as error:  # an argument of another type
            raise ValueError(explain_misfit(self.path, error)) from error
        return self.restore(module)


def explain_misfit(path: Path, error: Exception) -> str:
    """Returns the message for one of the `LOADING_ERRORS`."""
    return (
        f"{path} does not fit: it is of another model or version, or was changed "
        f"({shorten(str(error), 200)})"
    )


def _check_kinds(path: str | Path, content: Any) -> None:
    """Raises a ValueError unless the entries of a checkpoint have the types of `KINDS`."""
    model = content.get("model") if isinstance(content, dict) else None
    known = isinstance(model, Mapping) and isinstance(model.get("init_args"), Mapping)
    if not known or "state_dict" not in content:
        raise ValueError(f"{path} was not written by darts_lite; give a run's .ckpt file")
    data = content.get("data")
    if data and not (isinstance(data, Mapping) and isinstance(data.get("init_args"), Mapping)):
        raise ValueError(f"{path}: data is {short(data)}; {CHANGED}")
    for name, kind in KINDS.items():
        if content.get(name) is not None and not isinstance(content[name], kind):
            raise ValueError(f"{path}: {name} is a {type(content[name]).__name__}; {CHANGED}")
    for name, weights in content["state_dict"].items():
        if not (isinstance(name, str) and isinstance(weights, Tensor)):
            raise ValueError(f"{path}: state_dict: {short(name)} is not a tensor; {CHANGED}")
        if weights.is_floating_point() and not weights.isfinite().all():
            raise ValueError(
                f"{path}: state_dict: {name} holds NaN or infinite values; give a checkpoint from "
                "before they came"
            )
        if name.endswith("running_var") and bool((weights < 0).any()):
            raise ValueError(f"{path}: state_dict: {name} holds negative variances; {CHANGED}")
    names = content.get("class_names")
    texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    if not all(map(str.isprintable, texts)):
        raise ValueError(f"{path}: class_names is {short(names)}, not printable; {CHANGED}")
    for _, count in flatten(content.get("loops")):
        if not isinstance(count, int | None):
            raise ValueError(f"{path}: loops holds {short(count)}, not a number; {CHANGED}")


def _check_sums(file: BytesIO) -> None:
    """Raises an error unless the file's checksums are right; torch does not check them."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        larger = sum(entry.file_size for entry in entries) > len(file.getbuffer())
        if larger or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise zipfile.BadZipFile("compressed, so it may have any size; torch never compresses")
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def _check_size(content: Any) -> None:
    """Raises a ValueError if there are more than `MOST_VALUES`, or one contains itself.

    A value that is referred to twice counts twice, as nested references can multiply.
    """
    known: dict[int, float] = {}  # id of a value -> number of values in it

    def count(value: Any) -> float:
        if id(value) not in known:
            known[id(value)] = float("inf")  # remains if the value contains itself
            parts = value.values() if isinstance(value, Mapping) else value
            is_nested = isinstance(value, Mapping | list | tuple)
            known[id(value)] = 1 + (sum(map(count, parts)) if is_nested else 0)
        if known[id(value)] > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values, or one that contains itself")
        return known[id(value)]

    count(content)
