"""Reads recordings as samples of one channel, at one rate and of one length."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_lite.data.file_lists import FileKind
from darts_lite.data.preparation import round_values

SOUNDS = FileKind("sound", lambda: {".wav", ".flac", ".ogg"})
HIGHEST_RATE = 384_000  # samples per second
CUT_OFF = re.compile(r"^data : (\d{1,9}) \(should be (\d+)\)", re.MULTILINE)
"""What libsndfile tells of a wav file that ends early; streams name ten digits, or none."""
SLIGHT = 1e-4  # largest sample, in shares of the largest possible, of a recording that is silent
LOUD = 1.5  # largest sample, likewise, that may come of an encoding and not of another scale


class SoundHeader(NamedTuple):
    """Facts of a recording, known before its samples are read."""

    rate: int  # samples per second
    seconds: float


class Recording(NamedTuple):
    """The samples of a file."""

    samples: Tensor  # (samples,) in -1..1
    doubt: str | None = None  # why they may tell nothing


def check_packages() -> None:
    """Raises ValueError if what reads recordings is not installed."""
    if missing := [name for name in ("soundfile", "soxr") if find_spec(name) is None]:
        raise ValueError(
            f"packages are not installed ({', '.join(missing)}), and sounds need them; install "
            "this package with its extra sounds, as in pip install -e '.[sounds]'"
        )


def read_header(path: Path) -> SoundHeader:
    """Reads rate and length of a recording; raises ValueError if it is none."""
    with _open(path) as file:
        return SoundHeader(file.samplerate, file.frames / file.samplerate)


def read_sound(path: Path, rate: int, samples: int) -> Recording:
    """Reads the middle of a recording, the mean of its channels.

    What is shorter gets silence on both sides.

    Args:
        path: The file.
        rate: Samples per second, to which it is brought.
        samples: Number of samples.

    Raises:
        ValueError: if the file is damaged.
    """
    with _open(path) as file:
        needed = min(file.frames, -(-samples * file.samplerate // rate))
        try:
            file.seek((file.frames - needed) // 2)
            values = torch.from_numpy(file.read(needed, dtype="float32", always_2d=True))
        except RuntimeError as error:  # soundfile's own errors are of this kind
            raise ValueError(f"{path} is damaged ({error}); replace it or leave it out") from None
        if len(values) < needed or not values.isfinite().all():
            raise ValueError(f"{path} is damaged (it ends early, or holds NaN); leave it out")
        mono = values.mean(dim=1)  # (samples,)
        if file.samplerate != rate:
            resample = import_module("soxr").resample
            mono = torch.from_numpy(resample(mono.numpy(), file.samplerate, rate))
    before = (samples - len(mono)) // 2  # below 0 where rounding left more
    padded = torch.nn.functional.pad(mono, (before, samples - len(mono) - before))
    doubt = "is silent" if float(padded.abs().max()) < SLIGHT else None
    if float(values.abs().max()) > LOUD:
        doubt = "has samples far beyond -1 to 1, which are cut off"
    return Recording(round_samples(padded.clamp(-1, 1)), doubt)


def round_samples(samples: Tensor) -> Tensor:
    """Rounds values in -1..1 to those that 16 bits hold, as a data set in memory holds them."""
    return round_values(samples.mul(32768)).clamp(-32768, 32767).div(32768)


def _open(path: Path) -> Any:
    """Opens a recording; raises ValueError if it is none, or has no samples."""
    soundfile = import_module("soundfile")
    try:
        file = soundfile.SoundFile(path)
    except (RuntimeError, OSError, TypeError) as error:
        raise ValueError(f"{path} is not a readable recording ({error}); leave it out") from None
    cut = CUT_OFF.search(file.extra_info)
    if cut and int(cut[1]) > int(cut[2]):
        file.close()
        raise ValueError(
            f"{path} is damaged (its header tells {cut[1]} bytes of samples, and it has {cut[2]}); "
            "replace it or leave it out"
        )
    if file.frames < 1 or not 1 <= file.samplerate <= HIGHEST_RATE:
        file.close()
        raise ValueError(
            f"{path} has {file.frames} samples at {file.samplerate} a second; it must have some, "
            f"at a rate of at most {HIGHEST_RATE}; leave it out"
        )
    return file
