"""Augmented tones: what changes, and what stays."""

import pytest
import torch

from darts_lite.data.sounds.sound_augmentation import SoundAugmentation
from darts_lite.distributed.ranks import Shard

RATE, LENGTH = 8000, 4000
TONE = torch.sin(2 * torch.pi * 500 * torch.arange(LENGTH) / RATE)
SOUNDS = 0.5 * TONE.repeat(16, 1)


def find_pitch(sound: torch.Tensor) -> float:
    return float(torch.fft.rfft(sound).abs().argmax()) * RATE / LENGTH


def test_nothing_is_drawn_without_settings() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert torch.equal(SoundAugmentation()(SOUNDS), SOUNDS)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_shift_moves_and_leaves_silence() -> None:
    torch.manual_seed(0)
    clicks = torch.zeros(200, LENGTH)
    clicks[:, 2000] = 1
    places = SoundAugmentation(shift=0.25).time(clicks).argmax(dim=1)
    assert 950 < places.min() < 1200 and 2800 < places.max() < 3050
    torch.manual_seed(0)
    moved = SoundAugmentation(shift=0.25).time(torch.ones(200, LENGTH))
    assert set(moved[:, [0, -1]].sum(dim=1).round().tolist()) <= {0.0, 1.0, 2.0}


def test_speed_changes_the_pitch() -> None:
    torch.manual_seed(0)
    changed = SoundAugmentation(speed=0.2).time(SOUNDS)
    pitches = [find_pitch(sound) for sound in changed]
    assert 395 < min(pitches) < 480 and 520 < max(pitches) < 605


def test_gain_and_noise() -> None:
    torch.manual_seed(0)
    louder = SoundAugmentation(gain=6.0).loudness(SOUNDS / 4)
    ratios = louder.std(dim=1) / (SOUNDS / 4).std(dim=1)
    assert 0.5 < ratios.min() < 0.8 and 1.3 < ratios.max() < 2.0
    noisy = SoundAugmentation(noise=0.5).loudness(SOUNDS) - SOUNDS
    shares = noisy.std(dim=1) / SOUNDS.std(dim=1)
    assert 0 < shares.min() < 0.15 and 0.3 < shares.max() < 0.52


@pytest.mark.parametrize("axis", ["bands", "frames"])
def test_masks_are_lines_of_zeros(axis: str) -> None:
    torch.manual_seed(0)
    maps = SoundAugmentation(**{axis: 5}).masks(torch.ones(500, 1, 20, 30))
    hidden = (maps == 0).sum(dim=2 if axis == "bands" else 3).amax(dim=2)  # (500, 1)
    assert sorted(hidden.unique().tolist()) == [0, 1, 2, 3, 4, 5]
    assert maps.shape == (500, 1, 20, 30)
    whole = SoundAugmentation(**{axis: 99}).masks(torch.ones(500, 1, 4, 4))
    assert whole.flatten(1).sum(dim=1).unique().tolist() == [0.0, 4.0, 8.0, 12.0, 16.0]


def test_two_processes_draw_what_one_does() -> None:
    changes = SoundAugmentation(0.1, 0.1, 6.0, 0.1, 3, 3)
    many = torch.randn(8, 400, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    front = lambda samples: samples.view(-1, 1, 20, 20)  # noqa: E731
    torch.manual_seed(3)
    whole = changes(many, front)
    for rank in range(2):
        torch.manual_seed(3)
        torch.testing.assert_close(changes(many[rank::2], front, Shard(rank, 2)), whole[rank::2])


def test_settings_out_of_range_are_refused() -> None:
    for setting in ({"shift": 1.0}, {"speed": -0.1}, {"frames": 1.5}, {"gain": float("inf")}):
        with pytest.raises(ValueError, match=next(iter(setting))):
            SoundAugmentation(**setting)  # type: ignore[arg-type]
