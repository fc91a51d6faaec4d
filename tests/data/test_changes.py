"""What augmentations of images and sounds share."""

import pytest
import torch

from darts_lite.data.changes import RandomChanges
from darts_lite.data.images.augmentation import Augmentation
from darts_lite.data.sounds.sound_augmentation import SoundAugmentation


class Mirrored(Augmentation):
    """One of a user, without settings of its own."""

    def __init__(self, **settings: int) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Augmentation, SoundAugmentation])
def test_the_settings_stand_in_the_description(kind: type[RandomChanges]) -> None:
    name = next(iter(kind.limits))
    described = kind(**{name: 0}).describe()
    assert described["class_path"] == f"darts_lite.{kind.__name__}"
    assert {*kind.limits} <= {*described["init_args"], "border"}
    assert kind(**described["init_args"]).describe() == described


def test_a_class_of_ones_own_tells_what_it_inherits() -> None:
    described = Mirrored(shift=2).describe()
    assert described["class_path"].endswith("Mirrored") and described["init_args"]["shift"] == 2


def test_factors_are_drawn_for_each_item() -> None:
    torch.manual_seed(0)
    items = torch.ones(1000, 3, 2, 2)
    factors = RandomChanges.draw_factors(0.25, items, Augmentation.forward.__defaults__[1])  # type: ignore[index]
    assert factors.shape == (1000, 1, 1, 1)
    assert 0.75 <= factors.min() < 0.76 and 1.24 < factors.max() <= 1.25
