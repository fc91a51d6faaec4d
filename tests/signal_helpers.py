"""Real digits as signals: 28 rows of pixels are channels, read from left to right."""

from pathlib import Path

import numpy as np
from run_helpers import some_digits

TESTED = 60
"""Number of rows for the test."""


def write_signals(path: Path, count: int = 300) -> Path:
    """Writes digits as rows of 28 channels and 28 values, the last ones for the test."""
    images, labels = (part[:count].numpy() for part in some_digits())
    np.savez(
        path,
        train_x=images[:-TESTED],
        train_y=labels[:-TESTED],
        test_x=images[-TESTED:],
        test_y=labels[-TESTED:],
    )
    return path
