"""`export`: writes a retrained net for other programs."""

import argparse
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from darts_lite.data.image_data import ImageData
from darts_lite.export.formats import FORMATS, About, _not_installed, export
from darts_lite.export.inference import load_answer
from darts_lite.export.standalone import SIGNATURE
from darts_lite.retraining.recipe import SHIFTS
from darts_lite.space.operation_code import is_plain
from darts_lite.storage.atomic_files import make_folder

PLAIN = ("pt2", "safetensors", "python")
"""Formats that need no other package."""
ONLY_TRAINING = ("augmentation", "search_augmentation", "train_images", "least_batches_per_epoch")
"""Settings of the data that the test set does not need."""


def run(options: argparse.Namespace) -> None:
    """Writes the files, and compares the answers of each with those of the net.

    Raises:
        ValueError: if a file gives other answers than the net, among others; it is not kept then.
    """
    net, about = load_answer(options.checkpoint, options.imports)
    if options.test_shifts is not None:
        net.test_shifts = options.test_shifts
    formats = options.to or [name for name in PLAIN if name != "python" or is_plain(net.net)]
    for name in formats:
        if missing := [module for module in FORMATS[name].needs if find_spec(module) is None]:
            raise ValueError(_not_installed(name, ", ".join(missing)))
    pixels = read_test_pixels(about, options.images, options.root, options.dataset)
    folder = make_folder(options.output or Path(options.checkpoint).parent, "--output")
    paths = {name: folder / f"net{FORMATS[name].ending}" for name in formats}
    for path in paths.values():
        check_replaceable(path)
    for name, path in paths.items():
        difference = export(name, net, about, pixels, path)
        print(f"{path}: {len(pixels):,} images, same classes, within {difference:.1e}")
    if net.test_shifts:
        print(
            f"An answer is the mean of {SHIFTS} passes, over images shifted by {net.test_shifts} "
            "pixels; --test_shifts 0 exports a single pass"
        )
    if not options.to and "python" not in formats:
        print("net.py is left out: it cannot hold the code of the net's custom operations")


def check_replaceable(path: Path) -> None:
    """Checks that a path is free, or holds a file that may be replaced.

    Raises:
        ValueError: if it is a folder, or holds Python code that no export has written.
    """
    if path.is_dir():
        raise ValueError(f"cannot write {path}, which is a folder; choose another --output")
    code = path.suffix == FORMATS["python"].ending and path.exists()
    if code and SIGNATURE not in path.read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{path} exists and was not exported; choose another --output")


def read_test_pixels(
    about: About, count: int, root: str | None = None, dataset: str | None = None
) -> Tensor:
    """Returns images of a net's test set, ``(count, C, H, W)`` in 0..1.

    Args:
        about: Description of the net, from `load_answer`.
        count: Largest number of images; they are of all classes.
        root: Data folder; None means that of the training, or the usual one if that is gone.
        dataset: Name or folder of the data set; None means that of the training.
    """
    module, _, name = (path := about["data"]["class_path"]).rpartition(".")
    kind = getattr(import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, ImageData)):
        raise ValueError(f"the net was trained on {path}, which is not an ImageData")
    given = about["data"]["init_args"]
    settings = {key: value for key, value in given.items() if key not in ONLY_TRAINING}
    usable = settings.get("root") if Path(settings.get("root") or "").is_dir() else None
    moved = {"root": root or usable} | ({} if dataset is None else {"dataset": dataset})
    data = kind(**settings | moved)
    data.prepare_as(about["preparation"])
    data.setup("test")
    return data.test_pixels(count)
