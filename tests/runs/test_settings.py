"""The group `run` of a configuration."""

import pytest

from darts_lite.runs.settings import RunSettings


def test_a_run_needs_no_settings() -> None:
    assert RunSettings().max_minutes is None


@pytest.mark.parametrize(
    "setting",
    [
        *("max_minutes", "seeds", "control_nets"),
        *("save_every_steps", "save_every_minutes", "keep_checkpoints", "max_rollbacks"),
    ],
)
def test_numbers_out_of_range_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=f"run.{setting} must be .*, got 0"):
        RunSettings(**{setting: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a\nb", "a\0b", "x" * 300])
def test_a_name_stays_in_its_folder(name: str) -> None:
    assert RunSettings(name="a/b").name == "a/b"
    with pytest.raises(ValueError, match="the name of a folder"):
        RunSettings(name=name)
