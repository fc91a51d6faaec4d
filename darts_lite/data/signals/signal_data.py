"""Signals: a whole file of rows on the training device, split, shuffled and cut in batches."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from darts_lite.data.labelled_data import LabelledData, LoadedItems, describe_changes
from darts_lite.data.preparation import Preparation
from darts_lite.data.signals.signal_changes import SignalAugmentation
from darts_lite.data.signals.signal_files import LONGEST
from darts_lite.data.signals.signal_preparation import SignalPreparation, measure_signals
from darts_lite.data.signals.signal_table import read_table
from darts_lite.data.split_data import check_settings


class SignalData(LabelledData):
    """Rows of numbers over time, of one channel or several, in a file.

    Nets see them as maps of height 1, so the space must be one of layers with ``axes: 1``. Each
    channel is standardised by its mean and deviation in the training rows.

    Args:
        dataset: path of an npz file with train_x (rows, channels, values), train_y, test_x and
            test_y, or with x and y; or of a csv file with a line for each row, a column label and
            one for each value. See `darts_lite.data.signals.signal_files`
        seed: seed of the splits; the order of batches follows the run's seed (`seed_everything`)
        validation_fraction: part of the training rows that is kept for validation, between 0 and 1
        search_batches_per_epoch: steps of an epoch of the search; null takes one pass. A small set
            is passed several times, so that a search has the steps its settings were made for
        least_batches_per_epoch: steps of an epoch up to which ordinary training repeats a small set
        search_batch_size: rows per split in one step of the search
        batch_size: rows in one step of ordinary training
        evaluation_batch_size: rows at once in validation and test
        search_augmentation: augments the batches of the search
        augmentation: augments the batches of ordinary training
        signal_length: number of values to which rows are cut, or filled up with their last value;
            null takes the longest row

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no table of signals, or a number is out of its range.
    """

    axes = 1
    word = "signal"

    def __init__(
        self,
        dataset: str,
        seed: int = 0,
        validation_fraction: float = 0.1,
        search_batches_per_epoch: int | None = None,
        least_batches_per_epoch: int = 1,
        search_batch_size: int = 64,
        batch_size: int = 128,
        evaluation_batch_size: int = 1000,
        search_augmentation: SignalAugmentation | None = None,
        augmentation: SignalAugmentation | None = None,
        signal_length: int | None = None,
    ) -> None:
        super().__init__()
        settings: dict[str, Any] = {
            "dataset": str(Path(dataset).resolve()),
            "seed": seed,
            "validation_fraction": validation_fraction,
            "search_batches_per_epoch": search_batches_per_epoch,
            "least_batches_per_epoch": least_batches_per_epoch,
            "search_batch_size": search_batch_size,
            "batch_size": batch_size,
            "evaluation_batch_size": evaluation_batch_size,
            "search_augmentation": describe_changes(search_augmentation),
            "augmentation": describe_changes(augmentation),
            "signal_length": signal_length,
        }
        check_settings(settings)
        if signal_length is not None and not 1 <= signal_length <= LONGEST:
            raise ValueError(f"signal_length must be 1 to {LONGEST}, got {signal_length}")
        self.save_hyperparameters(settings, logger=False)
        self._table = read_table(Path(dataset))
        self.in_channels = self._table.rows.shape[1]
        self.image_size = signal_length or self._table.longest
        self.num_classes = len(self._table.classes)
        self.check_classes()
        self.search_augmentation, self.augmentation = search_augmentation, augmentation

    def prepare_as(self, trained: Preparation, tested: Sequence[str] = ()) -> None:
        """Shows signals as a trained net saw its own; call it before `setup`.

        Rows with the digests ``tested`` are the test rows again. Raises ValueError if settings ask
        for something else, or the signals have other channels.
        """
        known = self.check_kind(trained, SignalPreparation)
        if trained.channels != self.in_channels:
            raise ValueError(
                f"the net was trained on signals of {trained.channels} channels, and those of "
                f"{self.hparams['dataset']} have {self.in_channels}; give others as data.dataset"
            )
        if self.hparams["signal_length"] not in (None, trained.size):
            raise ValueError(
                f"data.signal_length is {self.hparams['signal_length']}, and the net was trained "
                f"on {trained.size} values; leave it out"
            )
        self._table = self._table.order(known.names)
        self.image_size = trained.size
        self._trained = trained, tested

    @cached_property
    def preparation(self) -> SignalPreparation:
        """How rows become what a net sees; mean and deviation are those of the training rows."""
        if self._trained is not None and isinstance(self._trained[0], SignalPreparation):
            return self._trained[0]
        measured = measure_signals(self.items.train_items)
        names = self._table.channels
        return SignalPreparation(self.in_channels, self.image_size, *measured, names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._table.classes

    def load_items(self) -> LoadedItems:
        table = self._table if self._trained is None else self._table.keep(self._trained[1])
        return table.load(self.image_size)
