"""What all kinds of data share: settings that nobody could use are refused."""

import re
from typing import Any

import pytest

from darts_lite.data.images.image_data import ImageData


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("search_batch_size", -1),
        ("evaluation_batch_size", 0),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("seed", -1),
        ("download_seconds", 0.0),
        ("download_seconds", 1e300),
        ("download_seconds", float("inf")),
        ("train_images", 0),
        ("train_images", 3),
        ("dataset", "MNlST"),
    ],
)
def test_a_wrong_setting_is_one_line(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(str(value))) as error:
        ImageData(**{name: value})
    assert name in str(error.value) and "\n" not in str(error.value)
