"""Recordings for tests: real digits, drawn as sounds of as many tones as they have rows."""

from pathlib import Path

import soundfile
import torch
from run_helpers import some_digits

RATE = 8000


def play_digit(pixels: torch.Tensor, samples: int = 3584) -> torch.Tensor:
    """Returns a sound whose spectrogram shows an image ``(28, 28)``: a tone for each row."""
    rows = pixels.float().flip(0) / 255  # the lowest row is the lowest tone
    heights = 200 * 1.11 ** torch.arange(len(rows))  # in Hz
    times = torch.arange(samples) / RATE
    tones = torch.sin(2 * torch.pi * heights[:, None] * times)  # (rows, samples)
    loudness = rows.repeat_interleave(samples // rows.shape[1], dim=1)  # (rows, samples)
    return (tones * loudness).sum(dim=0) / 28


def write_sounds(folder: Path, count: int = 60, ending: str = "wav", rate: int = RATE) -> None:
    """Writes digits as ``<class>_<speaker>_<take>``, of six speakers, in one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = some_digits()
    for number in range(count):
        name = f"{int(labels[number])}_speaker{number // 10 % 6}_{number // 60}.{ending}"
        soundfile.write(folder / name, play_digit(images[number]).numpy(), rate)
