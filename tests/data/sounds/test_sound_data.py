"""Recordings in folders, as a data module."""

from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import soundfile
import torch
from run_helpers import one_line
from sound_helpers import RATE, play_digit, some_digits, write_sounds

from darts_lite.data.batches import Batches
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.data.sounds.sound_augmentation import SoundAugmentation
from darts_lite.data.sounds.sound_data import SoundData
from darts_lite.data.sounds.sound_preparation import SoundPreparation

CLASS_BY, GROUP_BY = r"^(\d)_", r"_(speaker\d)_"


def test_recordings_become_normalised_maps(tmp_path: Path) -> None:
    write_sounds(tmp_path, 120)
    data = SoundData(str(tmp_path), image_size=28, class_by=CLASS_BY, test_by="_1.wav$")
    data.setup("fit")
    assert (data.in_channels, data.image_size, data.num_classes) == (1, 28, 10)
    assert data.split_sizes["test"] == 60 and data.class_names == tuple("0123456789")
    assert data.preparation.samples == 3584 and data.preparation.rate == RATE
    maps = data.prepare(data.items.train_items)
    assert maps.shape == (60, 1, 28, 28)
    assert abs(float(maps.mean())) < 1e-4 and float(maps.std()) == pytest.approx(1, abs=1e-3)
    images, labels = some_digits()
    # Files are sorted by name: the first is a 0, and its map shows it.
    first = int((labels[:60] == 0).nonzero()[0])
    drawn = images[first].float().flatten()
    seen = maps[0, 0].flatten()
    assert torch.corrcoef(torch.stack([drawn, seen]))[0, 1] > 0.4
    samples, _ = data.sample_test(10)
    assert samples.shape == (10, 3584) and samples.abs().max() <= 1


def test_folders_tell_classes_and_a_sixth_is_held_out(tmp_path: Path) -> None:
    images, labels = some_digits()
    for number in range(60):
        folder = tmp_path / f"digit {int(labels[number])}"
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{number}.flac", play_digit(images[number]).numpy(), RATE)
    data = SoundData(str(tmp_path))
    data.setup("fit")
    assert data.test_count == 10 and data.held_out.chosen
    assert data.data_source == f"sounds in {tmp_path.name}"
    again = SoundData(str(tmp_path))
    again.prepare_as(data.preparation, data.held_out.digests)
    again.setup("test")
    assert torch.equal(again.items.test_items, data.items.test_items)
    assert again.checksum == data.checksum
    with pytest.raises(ValueError, match="data.image_size is 64, and the net hears 32 bands"):
        SoundData(str(tmp_path), image_size=64).prepare_as(data.preparation)


def test_no_speaker_is_in_two_splits(tmp_path: Path) -> None:
    write_sounds(tmp_path, 60)
    data = SoundData(
        str(tmp_path),
        validation_fraction=0.2,
        test_by="speaker4",
        class_by=CLASS_BY,
        group_by=GROUP_BY,
    )
    data.setup("fit")
    groups = data.items.train_groups
    assert groups is not None and data.test_count == 10
    alone = SoundData(str(tmp_path), test_by="speaker4", class_by=CLASS_BY)
    alone.setup("fit")
    assert alone.checksum != data.checksum  # other groups make other splits
    assert [len(groups[part].unique()) for part in data.splits.values()] == [1, 2, 2]


@pytest.mark.parametrize("given", [{"rate": 4000}, {"seconds": 2.0}])
def test_sounds_are_heard_as_a_trained_net_heard_its_own(
    given: dict[str, Any], tmp_path: Path
) -> None:
    write_sounds(tmp_path, 60)
    trained = SoundPreparation(8000, 3584, 28, (0.0,), (1.0,))
    data = SoundData(str(tmp_path), class_by=CLASS_BY, seconds=0.45, rate=8000)
    data.prepare_as(trained)
    data.setup("test")
    assert data.preparation == trained and data.shape == (1, 28, 28)
    other = SoundData(str(tmp_path), class_by=CLASS_BY, **given)
    with pytest.raises(ValueError, match="the net hears 0.448 seconds of 8000 samples"):
        other.prepare_as(trained)


def test_recordings_in_training_and_test_are_counted(tmp_path: Path) -> None:
    write_sounds(tmp_path, 60)
    for path in sorted(tmp_path.glob("*speaker4*"))[:3]:
        copy(path, tmp_path / path.name.replace("speaker4", "speaker5"))
    data = SoundData(str(tmp_path), test_by="speaker4", class_by=CLASS_BY, group_by=GROUP_BY)
    with pytest.warns(UserWarning, match="3 of 10 test sounds are among the training ones"):
        data.setup("fit")


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    write_sounds(tmp_path, 60)
    data = SoundData(str(tmp_path), class_by=CLASS_BY, seconds=0.001)
    with pytest.raises(ValueError, match="are fewer than two for each of 32 frames"):
        data.setup("fit")


def test_lengths_and_rates(tmp_path: Path) -> None:
    write_sounds(tmp_path, 60)
    long = play_digit(some_digits()[0][0], 28 * 800).numpy()
    soundfile.write(tmp_path / "0_speaker0_9.wav", long, RATE)
    data = SoundData(str(tmp_path), class_by=CLASS_BY)
    with pytest.warns(UserWarning, match="1 of 5. training recordings are longer than 0.44"):
        data.setup("fit")
    given = SoundData(str(tmp_path), seconds=1.0, rate=4000, class_by=CLASS_BY)
    given.setup("fit")
    assert given.preparation == SoundPreparation(
        4000, 4000, 32, given.preparation.mean, given.preparation.std
    )


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"rate": 0}, "rate must be 1 to"),
        ({"image_size": 1000}, "image_size must be 1 to 256"),
        ({"seconds": 0.0}, "seconds must be above 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"dataset": "nowhere"}, "there is no folder nowhere"),
        ({"class_by": None}, "is not a folder of sounds"),
    ],
)
def test_settings_out_of_range_are_one_line(
    settings: dict[str, object], said: str, tmp_path: Path
) -> None:
    write_sounds(tmp_path, 20)
    given = {"dataset": str(tmp_path), "class_by": CLASS_BY, **settings}
    with pytest.raises(ValueError, match=said) as caught:
        SoundData(**given)  # type: ignore[arg-type]
    one_line(caught, "")


def test_other_data_than_a_nets_are_refused(tmp_path: Path) -> None:
    write_sounds(tmp_path, 20)
    data = SoundData(str(tmp_path), class_by=CLASS_BY)
    with pytest.raises(ValueError, match="trained on images, and .* holds sounds"):
        data.prepare_as(ImagePreparation(1, 28, mean=(0.1,), std=(0.3,)))
    with pytest.raises(ValueError, match="trained on sounds, and MNIST holds images"):
        ImageData().prepare_as(SoundPreparation(8000, 3584, 28, (0.0,), (1.0,)))


def test_augmented_batches_differ(tmp_path: Path) -> None:
    write_sounds(tmp_path, 60)
    changes = SoundAugmentation(shift=0.1, noise=0.1)
    data = SoundData(str(tmp_path), class_by=CLASS_BY, augmentation=changes)
    data.setup("fit")
    loader = data.train_dataloader()
    assert isinstance(loader, Batches)
    (first, _), (again, _) = (next(iter(loader)) for _ in range(2))
    assert first.shape[1:] == (1, 32, 32) and not torch.equal(first, again)
    assert data.describe()["init_args"]["augmentation"]["init_args"]["shift"] == 0.1
