"""What a checkpoint says about itself, read without executing anything."""

import inspect
import pickle
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch
from lightning.pytorch import LightningModule

import darts_lite
from darts_lite.storage.components import with_public_paths
from darts_lite.storage.user_modules import import_own, is_own

PACKAGE = "darts_lite."
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
"""What is read of a checkpoint by this package and by Lightning; a checkpoint need not have all."""

GROUPS = ("model", "data")
"""Of these, the settings from which model and data are built again."""
MOST_VALUES = 10_000_000
"""Most values of a checkpoint, beside the numbers in tensors."""
UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    RecursionError,
    zipfile.BadZipFile,
    zlib.error,
)
"""All that torch's reader raises on damaged files."""
CHANGED = "it was changed, or is of another version; give an intact .ckpt file of a run"


def describe_data(module: LightningModule) -> dict[str, Any]:
    """What a checkpoint keeps of the data a module is trained on, as plain values.

    ``data``: class and settings, from which the same data can be built again; ``data_source``:
    where the images really came from; ``image_size``: their side in pixels; ``mean``, ``std``: of
    their channels; ``class_names``, or None; ``figure``: see
    `darts_lite.data.foreground.figure_share`. Empty for a data module that does not tell.
    """
    data: Any = getattr(module.trainer, "datamodule", None)
    if not hasattr(data, "describe"):
        return {}
    mean, std = (list(values) for values in data.normalization)
    about = {"data_source": data.data_source, "image_size": data.image_size}
    about |= {"class_names": data.class_names and list(data.class_names), "figure": data.figure}
    return {"data": data.describe(), **about, "mean": mean, "std": std}


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
            _check_sums(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
            check_size(content, _parts, MOST_VALUES)
    except UNREADABLE:
        raise ValueError(
            f"{path} is no readable checkpoint: it is damaged, of another kind, or holds more than "
            "plain values; give an intact .ckpt file of a run"
        ) from None
    model = content.get("model") if isinstance(content, dict) else None
    known = isinstance(model, Mapping) and isinstance(model.get("init_args"), Mapping)
    if not known or "state_dict" not in content:
        raise ValueError(f"{path} was not written by darts_lite; give a run's .ckpt file")
    for name, kind in KINDS.items():
        if content.get(name) is not None and not isinstance(content[name], kind):
            raise ValueError(f"{path}: {name} is a {type(content[name]).__name__}; {CHANGED}")
    content |= {name: with_public_paths(content[name]) for name in GROUPS if content.get(name)}
    for name, weights in content["state_dict"].items():
        if not (isinstance(name, str) and isinstance(weights, torch.Tensor)):
            raise ValueError(f"{path}: state_dict holds {short(name)}, no weights; {CHANGED}")
    for _, count in flat(content.get("loops")):
        if not isinstance(count, int | None):
            raise ValueError(f"{path}: loops count {short(count)}; {CHANGED}")
    return content


def flat(value: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """All values inside with their names, as ``data.init_args.seed`` and ``model.layers[0]``."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from flat(entry, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from flat(entry, f"{name}[{index}]")
    else:
        yield name, value


def _check_sums(path: str | Path) -> None:
    """Reads all of a file to see whether it is as it was written, which torch does not look at."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        larger = sum(entry.file_size for entry in entries) > Path(path).stat().st_size
        if larger or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise zipfile.BadZipFile("torch compresses nothing; this may unfold without end")
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def check_size(value: Any, parts_of: Callable[[Any], Iterable[Any]], most: int) -> None:
    """Counts the values inside a value, one that is referred to twice twice.

    Args:
        value: To be counted.
        parts_of: What a value holds directly.
        most: How many there may be.

    Raises:
        ValueError: if there are more, or one holds itself.
    """
    known: dict[int, float] = {}  # by the identity of values

    def count(part: Any) -> float:
        if id(part) not in known:
            known[id(part)] = float("inf")  # if it comes again before it ends, it holds itself
            known[id(part)] = 1 + sum(map(count, parts_of(part)))
        if known[id(part)] > most:
            raise ValueError(f"more than {most} values, or one that holds itself")
        return known[id(part)]

    count(value)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def settings_of(path: str | Path, trusted: Collection[str] = ()) -> dict[str, Any]:
    """The ``model`` and ``data`` groups of a configuration that fit a checkpoint.

    Args:
        path: Of the checkpoint.
        trusted: Modules beside this package's whose classes the user allows to be imported.

    Raises:
        FileNotFoundError, ValueError: see `read_checkpoint`; also if a class of any other module is
            named, which a file may not import, or what a trusted one has only imported itself.
    """
    content = read_checkpoint(path)
    groups = {name: content[name] for name in GROUPS if content.get(name)}
    for class_path, arguments in _classes(groups):
        module = class_path.rpartition(".")[0]
        if class_path.startswith(PACKAGE):
            _check_arguments(path, class_path, arguments)
        elif module not in trusted:
            raise ValueError(
                f"{path} names the class {short(class_path)}, which a checkpoint may not import; "
                f"if it is yours, add --run.imports=[{module}]"
            )
        else:
            import_own([module])
            if not is_own(class_path):
                raise ValueError(f"{path} names {short(class_path)}, no class of that module's own")
    return groups


def _check_arguments(path: str | Path, class_path: str, arguments: Any) -> None:
    """Whether a class of this package takes what a checkpoint gives it."""
    module, _, name = class_path.rpartition(".")
    # What is public is imported if it was not yet; a file must not have anything else imported.
    place = darts_lite if name in darts_lite.__all__ else sys.modules.get(module)
    named = getattr(place, name, None)
    if not isinstance(named, type) or module not in ("darts_lite", named.__module__):
        raise ValueError(f"{path} names {short(class_path)}, which is no class here; {CHANGED}")
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{path}: settings of {name} are {short(arguments)}; {CHANGED}")
    takes = inspect.signature(named).parameters
    unknown = [key for key in arguments if key not in takes]
    if unknown:
        raise ValueError(f"{path} is of another version: {name} takes no {short(unknown)}")
    try:
        inspect.signature(named).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"{path} is of another version: {name} is {error}") from error


def _classes(value: object) -> Iterator[tuple[str, Any]]:
    """Class paths inside with the arguments beside them."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield str(value["class_path"]), value.get("init_args", {})
        for entry in value.values():
            yield from _classes(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _classes(entry)
