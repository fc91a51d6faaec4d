"""Recordings of classes in a folder, as samples in memory and as log-mel maps for a net."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from darts_lite.data.labelled_data import (
    LabelledData,
    LoadedItems,
    describe_changes,
    scale_values,
)
from darts_lite.data.labelled_files import File, scan_files
from darts_lite.data.naming import Naming
from darts_lite.data.preparation import Preparation
from darts_lite.data.sounds.sound_augmentation import SoundAugmentation
from darts_lite.data.sounds.sound_files import SOUNDS, check_packages, read_header
from darts_lite.data.sounds.sound_preparation import (
    HIGHEST_RATE,
    LARGEST_MAP,
    MOST_SAMPLES,
    SoundPreparation,
)
from darts_lite.data.split_data import check_settings

BANDS = 32  # number of mel bands and of frames if none is given
USUAL_RATE = 16_000  # largest rate, and
MOST_SECONDS = 600  # largest length that may be asked for
LONGEST = 10.0  # most seconds that are taken if none are given
COVERED = 0.95  # share of the training recordings that are no longer than the length then
CHUNK = 256  # number of sounds whose maps are made at once


class SoundData(LabelledData):
    """Recordings in a folder, split for architecture search, on the training device.

    A net sees log-mel maps of one channel, see `LogMel`; exported files take samples. Files are
    wav, flac or ogg, in one folder per class, with or without ``train`` and ``test`` above it; or
    their names tell the class.

    Args:
        dataset: path of the folder
        rate: samples per second, to which recordings are brought; null takes the most common rate,
            at most 16,000
        seconds: length to which they are cut or filled; null takes one that 95 of 100 training
            recordings do not exceed, at most 10
        image_size: number of mel bands and of frames, `BANDS` by default
        class_by: regular expression that finds a recording's class in its path inside of the
            folder, in its first parentheses; null takes the name of its folder
        group_by: regular expression that finds its group likewise, the speaker for one; or a csv
            file inside of the folder, with the columns file and group. No group is in two splits
        test_by: regular expression that finds the test recordings by their paths; null takes the
            folder test, or else a sixth of all
        seed: seed of the splits; the order of batches follows the run's seed (`seed_everything`)
        validation_fraction: part of the training set that is kept for validation, between 0 and 1
        search_batches_per_epoch: steps of an epoch of the search; null takes one pass
        least_batches_per_epoch: steps of an epoch up to which ordinary training repeats a small set
        search_batch_size: sounds per split in one step of the search
        batch_size: sounds in one step of ordinary training
        evaluation_batch_size: sounds at once in validation and test
        search_augmentation: augments the batches of the search
        augmentation: augments the batches of ordinary training

    Raises:
        ValueError: if the folder holds something else, or a number is out of its range.
    """

    word = SOUNDS.word
    search_augmentation: SoundAugmentation | None
    augmentation: SoundAugmentation | None

    def __init__(
        self,
        dataset: str,
        rate: int | None = None,
        seconds: float | None = None,
        image_size: int | None = None,
        class_by: str | None = None,
        group_by: str | None = None,
        test_by: str | None = None,
        seed: int = 0,
        validation_fraction: float = 0.1,
        search_batches_per_epoch: int | None = None,
        least_batches_per_epoch: int = 1,
        search_batch_size: int = 64,
        batch_size: int = 128,
        evaluation_batch_size: int = 1000,
        search_augmentation: SoundAugmentation | None = None,
        augmentation: SoundAugmentation | None = None,
    ) -> None:
        super().__init__()
        check_packages()
        if not Path(dataset).is_dir():
            raise ValueError(
                f"there is no folder {dataset}; set data.dataset to one with recordings"
            )
        naming = Naming(class_by, group_by, test_by)
        settings: dict[str, Any] = {
            "dataset": str(Path(dataset).resolve()),
            "rate": rate,
            "seconds": seconds,
            "image_size": image_size,
            **naming._asdict(),
            "seed": seed,
            "validation_fraction": validation_fraction,
            "search_batches_per_epoch": search_batches_per_epoch,
            "least_batches_per_epoch": least_batches_per_epoch,
            "search_batch_size": search_batch_size,
            "batch_size": batch_size,
            "evaluation_batch_size": evaluation_batch_size,
            "search_augmentation": describe_changes(search_augmentation),
            "augmentation": describe_changes(augmentation),
        }
        check_settings(settings)
        for name, value, most in (
            ("rate", rate, HIGHEST_RATE),
            ("image_size", image_size, LARGEST_MAP),
        ):
            if value is not None and not 1 <= value <= most:
                raise ValueError(f"{name} must be 1 to {most}, got {value}")
        if seconds is not None and not 0 < seconds <= MOST_SECONDS:
            raise ValueError(f"seconds must be above 0 and at most {MOST_SECONDS}, got {seconds}")
        self.save_hyperparameters(settings, logger=False)
        self._files = scan_files(Path(dataset), SOUNDS, naming)
        self.in_channels, self.image_size = 1, image_size or BANDS
        self.num_classes = len(self._files.classes)
        self.check_classes()
        self.search_augmentation, self.augmentation = search_augmentation, augmentation

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self._files.classes)

    def prepare_as(self, trained: Preparation, tested: Sequence[str] = ()) -> None:
        """Shows sounds as a trained net heard its own; call it before `setup`."""
        heard = self.check_kind(trained, SoundPreparation)
        given = self.hparams["rate"], self.hparams["seconds"]
        seconds, frame = heard.samples / heard.rate, heard.size / heard.rate
        same_rate = given[0] in (None, heard.rate)
        if not same_rate or given[1] is not None and abs(given[1] - seconds) > frame:
            raise ValueError(
                f"the net hears {seconds:.3g} seconds of {heard.rate} samples each; leave out "
                "data.rate and data.seconds"
            )
        if self.hparams["image_size"] not in (None, heard.size):
            raise ValueError(
                f"data.image_size is {self.hparams['image_size']}, and the net hears {heard.size} "
                "bands; leave it out"
            )
        self.image_size = trained.size
        self._trained = trained, tested

    @cached_property
    def preparation(self) -> SoundPreparation:
        """How recordings become what a net sees; mean and deviation are measured."""
        if self._trained is not None:
            return cast(SoundPreparation, self._trained[0])
        front, items = self._brought_to.front(), self.items.train_items.cpu()
        with torch.no_grad():
            maps = torch.cat([front(scale_values(chunk)) for chunk in items.split(CHUNK)])
        variance, mean = torch.var_mean(maps.double(), correction=0)
        std = variance.clamp_min(1e-12).sqrt()
        return replace(self._brought_to, mean=(float(mean),), std=(float(std),))

    def load_items(self) -> LoadedItems:
        files, brought_to = self._files, self._brought_to
        if self._trained is not None:
            files = files.keep(self._trained[1])
        for doubt in files.doubt():
            _warn(doubt)
        train, test = (self._read(part, brought_to) for part in (files.train, files.test))
        source = f"{SOUNDS.words} in {files.folder.name}"
        return LoadedItems(*train, *test, source, files.held_out, files.train_groups)

    @cached_property
    def _brought_to(self) -> SoundPreparation:
        """Rate, length and size, without mean and deviation."""
        if self._trained is not None:
            return cast(SoundPreparation, self._trained[0])
        given, size = self.hparams, self.image_size
        headers = [read_header(path) for path, _ in self._files.train]
        common = Counter(header.rate for header in headers).most_common(1)[0][0]
        rate = given["rate"] or min(common, USUAL_RATE)
        lengths = torch.tensor([header.seconds for header in headers], dtype=torch.float64)
        usual = min(float(lengths.quantile(COVERED)), LONGEST)
        seconds = given["seconds"] or usual
        hop = max(2, round(seconds * rate / size))
        if given["seconds"] is not None and seconds * rate < 2 * size:
            raise ValueError(
                f"{seconds:g} seconds of {rate} samples are fewer than two for each of {size} "
                "frames; set data.seconds or data.rate to more, or data.image_size to less"
            )
        if hop * size > MOST_SAMPLES:
            raise ValueError(
                f"{seconds:g} seconds of {rate} samples are more than {MOST_SAMPLES:,}; set "
                "data.seconds or data.rate to less"
            )
        longer = int((lengths > (hop * size + hop) / rate).sum())  # by a frame or more
        if longer and given["seconds"] is None:
            _warn(
                f"{longer} of {len(headers)} training recordings are longer than "
                f"{hop * size / rate:.3g} seconds, and only their middle is heard; set "
                f"data.seconds to {float(lengths.max()):.3g} to hear all"
            )
        return SoundPreparation(rate, hop * size, size)

    def _read(self, files: Sequence[File], brought_to: SoundPreparation) -> tuple[Tensor, Tensor]:
        """Reads recordings as int16 ``(N, samples)``, and their labels ``(N,)``."""
        read = [(path, brought_to.read(path)) for path, _ in files]
        doubts = [f"{path} {item.doubt}" for path, item in read if item.doubt]
        if doubts:
            _warn(f"{len(doubts)} of {len(files)} sounds are doubtful, for one {doubts[0]}")
        samples = torch.stack([item.values.mul(32768).to(torch.int16) for _, item in read])
        return samples, torch.tensor([label for _, label in files])


def _warn(doubt: str) -> None:
    warnings.warn(doubt, stacklevel=3)
