"""Whether images suit a net that was trained before."""

from collections.abc import Mapping, Sequence
from typing import Any

from darts_lite.data.datasets import EMBEDDED


def check_unseen(now: str | None, then: str | None) -> None:
    """Refuses the embedded digits to a net of full MNIST: they are among its training images.

    Args:
        now, then: Where the images come from, and came from when the net was trained.

    Raises:
        ValueError: if the net has seen them.
    """
    if now == EMBEDDED and then not in (None, EMBEDDED):
        raise ValueError(
            "this net learnt all of MNIST, and the embedded 5,000 digits, which are all there is "
            "here, are among its training images; set DARTS_LITE_DATA or data.root to the folder "
            "that holds MNIST/raw"
        )


def check_alike(
    content: Mapping[str, Any], channels: int, classes: int, names: Sequence[str] | None
) -> None:
    """Refuses images to a net that knows others.

    Args:
        content: Of a checkpoint; nothing in it, nothing to compare.
        channels, classes, names: Of the images at hand.

    Raises:
        ValueError: if they have other channels or classes than the checkpoint's.
    """
    known = content.get("model", {}).get("init_args", {})
    then = known.get("in_channels", channels), known.get("num_classes", classes)
    if then != (channels, classes):
        raise ValueError(
            f"the checkpoint knows images of {then[0]} channels and {then[1]} classes, these have "
            f"{channels} and {classes}; set data.dataset to such images"
        )
    told = content.get("class_names")
    if told and names and list(told) != list(names):
        raise ValueError(
            f"the checkpoint tells {', '.join(told[:9])} apart, these images are of "
            f"{', '.join(names[:9])}; set data.dataset to images of the same classes"
        )
