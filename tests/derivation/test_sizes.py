"""Sizes of memory as people write them."""

import pytest
from run_helpers import one_line

from darts_lite.derivation.sizes import read_size


@pytest.mark.parametrize(
    ("text", "size"),
    [(4096, 4096), ("4096", 4096), ("8kB", 8000), ("8 KiB", 8192), ("1.5KiB", 1536), ("2MB", 2e6)],
)
def test_units_are_bytes(text: int | str, size: int) -> None:
    assert read_size(text, "memory") == size


@pytest.mark.parametrize("text", ["8KB", "8 bits", "-8", "many", "", "8kB8", "0", "0.5", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_size(text, "a budget of memory")
    one_line(caught, "a budget of memory", text)
