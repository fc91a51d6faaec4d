"""Checks that images suit a net that was trained before."""

import warnings
from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any

from darts_lite.data.class_balance import list_names
from darts_lite.data.images.datasets import DATASETS, is_embedded
from darts_lite.data.images.image_folders import FOLDER
from darts_lite.data.images.image_preparation import Preparation
from darts_lite.data.split_data import SplitData
from darts_lite.storage.foreign_settings import CHANGED


def adapt(data: SplitData, content: Mapping[str, Any], trained: Preparation | None) -> None:
    """Shows images as a net saw its own; call it before they are loaded, `check_loaded` after it.

    Args:
        data: The images.
        content: What the net's checkpoint holds.
        trained: How the net's own images were prepared, if that is known.

    Raises:
        ValueError: if they have other channels or classes, or cannot be prepared so.
    """
    if trained is not None:
        data.prepare_as(trained, read_held_out(content))
    check_alike(content, data.in_channels, data.num_classes, data.class_names)
    if doubt := doubt_kin(content, str(data.hparams.get("dataset"))):
        warnings.warn(doubt, stacklevel=2)


def check_loaded(data: SplitData, content: Mapping[str, Any]) -> None:
    """Raises ValueError if test images are, or may be, among those that a net was trained on.

    Warns if they are those that were kept for the test, and others of the folder have changed, or
    if a net of an early version tells nothing of them.
    """
    check_unseen(data.data_source, content.get("data_source"))
    then = content.get("data_checksum")
    if not data.held_out.chosen or isinstance(then, int) and then == data.checksum:
        return
    folder, known = data.hparams["dataset"], read_held_out(content)
    if known:
        warnings.warn(
            f"{folder} has changed since the training; the test {data.called} are the {len(known)} "
            f"that the run kept for it, and no others. Validation {data.called} are chosen anew, "
            "also among those that it was trained on",
            stacklevel=2,
        )
    elif not str(content.get("data_source")).startswith(FOLDER):
        return
    elif then is None:
        warnings.warn(
            f"the net is of an early version and does not tell its test images: if {folder} has "
            "changed since the training, some of these may be among those it was trained on",
            stacklevel=2,
        )
    else:
        raise ValueError(
            f"{folder} is not as in the training, and this net of an earlier version does not "
            "tell which files were kept for its test: others may be its training images; restore "
            "the folder, or give images that it has not seen in the folders train/<class> and "
            "test/<class> of another data.dataset"
        )


def read_held_out(content: Mapping[str, Any]) -> Sequence[str]:
    """Returns the digests of the files with which a net was tested; none in earlier versions.

    Raises ValueError if they were changed.
    """
    digests = content.get("held_out") or []
    if not isinstance(digests, list) or not all(isinstance(one, str) for one in digests):
        raise ValueError(f"held_out of the checkpoint is {short(digests)}; {CHANGED}")
    return digests


def check_unseen(now: str | None, then: str | None) -> None:
    """Raises ValueError if a net of full MNIST gets the embedded digits, which it was trained on.

    ``now`` and ``then`` are the sources of the images at hand and of those it was trained on.
    """
    if is_embedded(now) and then is not None and not is_embedded(then):
        raise ValueError(
            "this net was trained on all of MNIST, and only the embedded 5,000 digits were found, "
            "which are among its training images; set DARTS_LITE_DATA or data.root to the folder "
            "that holds MNIST/raw"
        )


def doubt_kin(content: Mapping[str, Any], dataset: str) -> str | None:
    """Returns a warning if a net was trained on another data set with a name."""
    data = content.get("data")
    then = data["init_args"].get("dataset") if data else None
    if then in (None, dataset) or not {then, dataset} <= DATASETS.keys():
        return None
    return f"the net was trained on {then}, and these are images of {dataset}"


def check_alike(
    content: Mapping[str, Any], channels: int, classes: int, names: Sequence[str] | None
) -> None:
    """Raises ValueError if images have other channels or classes than a net's training images.

    What the checkpoint's ``content`` lacks is not compared.
    """
    known = content.get("model", {}).get("init_args", {})
    then = known.get("in_channels", channels), known.get("num_classes", classes)
    if then != (channels, classes):
        raise ValueError(
            f"the checkpoint knows images of {then[0]} channels and {then[1]} classes, these have "
            f"{channels} and {classes}; set data.dataset to such images"
        )
    known_names = content.get("class_names")
    if known_names and names and list(known_names) != list(names):
        raise ValueError(
            f"the checkpoint has the classes {list_names(known_names)}, these images have "
            f"{list_names(names)}; set data.dataset to images of the same classes"
        )
