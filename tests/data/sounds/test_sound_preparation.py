"""What travels with a net of sounds."""

from pathlib import Path

import pytest
from run_helpers import one_line
from sound_helpers import write_sounds

from darts_lite.data.sounds.sound_preparation import SoundPreparation

SEEN = SoundPreparation(8000, 3584, 28, (-8.0,), (2.5,))


def test_a_file_is_read_as_it_was_in_training(tmp_path: Path) -> None:
    write_sounds(tmp_path, 1)
    (path,) = tmp_path.iterdir()
    values, doubt = SEEN.read(path)
    assert values.shape == SEEN.shape and doubt is None
    assert SEEN.front()(values[None]).shape == (1, 1, 28, 28)
    assert SEEN.front_code() == "LogMel(8000, 3584, 28)"
    SEEN.check_files()


def test_it_is_told_in_words() -> None:
    assert SEEN.describe() == (
        "0.448 seconds of 8000 samples each, one channel, seen as 28 mel bands by 28 frames"
    )
    assert "middle" in SEEN.describe_crop()


@pytest.mark.parametrize(
    "name, value",
    [
        *(("size", 0), ("size", 10**9), ("rate", "8000"), ("rate", 10**9)),
        *(("samples", 3585), ("samples", 2**40), ("mean", [1.0, 2.0]), ("mean", [float("nan")])),
        *(("std", [0.0]), ("std", None), ("channels", 2)),
    ],
)
def test_values_that_no_run_writes_are_one_line(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        SoundPreparation.from_dict(SEEN.to_dict() | {name: value})
    one_line(caught, "")
