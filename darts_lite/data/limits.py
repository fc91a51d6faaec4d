"""Limits of the settings of data."""

from collections.abc import Mapping
from typing import Any

from darts_lite.data.splits import compute_split_sizes

MOST_IMAGES = 10_000_000  # largest number in an epoch, whose order is drawn as a whole
LONGEST_WAIT = 86_400  # seconds for an answer of the network


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises ValueError if one of `ImageData`'s numbers is out of its range."""
    batches = ("search_batches_per_epoch", "least_batches_per_epoch")
    sizes = ("search_batch_size", "batch_size", "evaluation_batch_size")
    for name in (*batches, *sizes):
        if settings[name] is not None and settings[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {settings[name]}")
    for count, size in zip(batches, sizes, strict=False):  # the evaluation takes one pass
        if (settings[count] or 1) * settings[size] > MOST_IMAGES:
            raise ValueError(
                f"{count} times {size} must be at most {MOST_IMAGES} images, got "
                f"{settings[count]} times {settings[size]}"
            )
    fraction, seed = settings["validation_fraction"], settings["seed"]
    seconds, images = settings["download_seconds"], settings["train_images"]
    if not 0 < fraction < 1:
        raise ValueError(f"validation_fraction must lie in (0, 1), got {fraction}")
    if not 0 <= seed < 2**63:
        raise ValueError(f"the data seed must be at least 0 and below 2**63, got {seed}")
    if not 0 < seconds <= LONGEST_WAIT:
        raise ValueError(
            f"download_seconds must be above 0 and at most {LONGEST_WAIT}, got {seconds}"
        )
    if images is not None:
        compute_split_sizes(images, fraction)
