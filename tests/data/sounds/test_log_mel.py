"""Log-mel maps of tones whose place is known."""

import pytest
import torch

from darts_lite.data.sounds.log_mel import LogMel


def make_tone(hertz: float, rate: int, samples: int) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(samples) / rate).unsqueeze(0)


@pytest.mark.parametrize(
    "rate, samples, size", [(8000, 6400, 32), (16000, 16000, 40), (8000, 640, 64)]
)
def test_a_tone_is_brightest_in_its_band(rate: int, samples: int, size: int) -> None:
    front = LogMel(rate, samples, size)
    mel = 2595 * torch.log10(torch.tensor(1 + rate / 2 / 700))
    for place in (size // 4, size // 2, size - 3):
        centre = 700 * (10 ** (float(mel) * (place + 1) / (size + 1) / 2595) - 1)
        maps = front(make_tone(centre, rate, samples))
        assert maps.shape == (1, 1, size, size)
        brightest = maps[0, 0, :, size // 2].argmax()  # the first row is the highest band
        assert abs(int(brightest) - (size - 1 - place)) <= (1 if samples > 1000 else 2)


def test_each_band_hears_something_and_silence_is_the_floor() -> None:
    front = LogMel(8000, 6400, 64)
    assert (front.bands.sum(dim=0) > 0).all()
    silence = front(torch.zeros(2, 6400))
    torch.testing.assert_close(silence, torch.full_like(silence, 1e-6).log())
    assert not front.state_dict()  # nothing of it is a weight


def test_frames_follow_the_time() -> None:
    tone = make_tone(1000, 8000, 6400)
    tone[:, :3200] = 0
    loud = LogMel(8000, 6400, 32)(tone)[0, 0].amax(dim=0)  # (frames,)
    assert (loud[:15] < -10).all() and (loud[17:-1] > loud[:15].max() + 5).all()
