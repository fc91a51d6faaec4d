"""The group `run` of a configuration."""

import pytest

from darts_lite.run_settings import RunSettings


def test_a_run_needs_no_settings() -> None:
    assert RunSettings().max_minutes is None


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="max_minutes must be above 0, got 0"):
        RunSettings(max_minutes=0)
