"""Preparations of files, read again as the class that they are of."""

from pathlib import Path

import pytest
import torch
from run_helpers import one_line

from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.data.preparation import build_preparation, read_preparation, round_values
from darts_lite.data.sounds.sound_preparation import SoundPreparation
from darts_lite.storage.checkpoints import Checkpoint

IMAGE = ImagePreparation(3, 32, mean=(0.1,) * 3, std=(0.3,) * 3)
SOUND = SoundPreparation(8000, 6400, 32, (-8.0,), (2.5,))


@pytest.mark.parametrize("seen", [IMAGE, SOUND], ids=["image", "sound"])
def test_what_is_described_is_built_again(seen: ImagePreparation | SoundPreparation) -> None:
    assert build_preparation(seen.to_dict()) == seen
    content = {"preparation": seen.to_dict()}
    assert read_preparation(Checkpoint(Path("net.ckpt"), content)) == seen


def test_other_kinds_are_refused() -> None:
    for path in ("darts_lite.Net", "os.system", 3, "darts_lite.Nothing"):
        with pytest.raises(ValueError) as caught:
            build_preparation(SOUND.to_dict() | {"class_path": path})
        one_line(caught, "preparation: ")
    with pytest.raises(ValueError, match="not a mapping"):
        build_preparation([1])


def test_values_are_rounded_as_torch_does() -> None:
    """Halves to even ones, so that what nets were trained on stays the same to the last bit."""
    halves = torch.arange(-6, 7) / 2  # (13,)
    values = torch.cat([halves, torch.linspace(-300.0, 300.0, 1001)])
    assert torch.equal(round_values(values), values.round())
