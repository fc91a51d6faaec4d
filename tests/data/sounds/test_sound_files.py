"""Recordings of all kinds, written by soundfile itself."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from run_helpers import one_line

from darts_lite.data.sounds.sound_files import read_header, read_sound, round_samples


def make_wave(samples: int, hertz: float = 440.0, rate: int = 8000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)).astype("float32")


@pytest.mark.parametrize("ending, near", [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.05)])
def test_all_kinds_hold_the_same_sound(ending: str, near: float, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, make_wave(4000), 8000)
    assert read_header(path).rate == 8000 and read_header(path).seconds == pytest.approx(0.5)
    found = read_sound(path, 8000, 4000)
    assert found.doubt is None
    torch.testing.assert_close(found.samples, torch.tensor(make_wave(4000)), atol=near, rtol=0)


def test_the_middle_is_heard_and_silence_is_added(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.linspace(0, 0.9, 1000), 8000, subtype="PCM_16")
    samples = read_sound(tmp_path / "a.wav", 8000, 100).samples
    assert samples[0] == pytest.approx(0.9 * 450 / 999, abs=1e-4) and len(samples) == 100
    longer = read_sound(tmp_path / "a.wav", 8000, 1200).samples
    assert not longer[:100].any() and not longer[1100:].any() and longer[1099] > 0.89


def test_channels_are_averaged_and_rates_brought_to_one(tmp_path: Path) -> None:
    wave = make_wave(16000, rate=16000)
    soundfile.write(tmp_path / "a.wav", np.stack([wave, 0 * wave], axis=1), 16000)
    samples = read_sound(tmp_path / "a.wav", 8000, 8000).samples
    expected = torch.tensor(make_wave(8000)) / 2
    torch.testing.assert_close(samples[200:-200], expected[200:-200], atol=2e-3, rtol=0)


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "cut.flac", make_wave(40000), 8000)
    content = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 3])
    soundfile.write(tmp_path / "cut.wav", make_wave(40000), 8000)
    content = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 3])
    for name, said in {
        "cut.wav": "tells 80000 bytes of samples, and it has 26637",
        "text.wav": "is not a readable recording",
        "empty.wav": "has 0 samples",
        "nan.wav": "is damaged",
        "cut.flac": "is damaged",
        "none.wav": "is not a readable recording",
    }.items():
        with pytest.raises(ValueError, match=said) as caught:
            read_sound(tmp_path / name, 8000, 40000)
        one_line(caught, "")


def test_silence_is_doubted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000)
    assert read_sound(tmp_path / "a.wav", 8000, 100).doubt == "is silent"


def test_a_scale_of_whole_numbers_in_floats_is_doubted(tmp_path: Path) -> None:
    wave = np.sin(np.arange(100))
    for largest, doubted in ((1.2, False), (32767.0, True)):
        soundfile.write(tmp_path / "a.wav", largest * wave, 8000, subtype="FLOAT")
        told = read_sound(tmp_path / "a.wav", 8000, 100).doubt
        assert (told is not None and "far beyond -1 to 1" in told) == doubted


def test_samples_are_those_of_16_bits() -> None:
    samples = torch.tensor([-1.0, 0.5, 1.0, 1e-6])
    assert round_samples(samples).tolist() == [-1.0, 0.5, 32767 / 32768, 0.0]
