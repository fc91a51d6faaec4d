"""A data module of Lightning in pairs of batches."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from own_tasks import (
    NUMBERS,
    Again,
    Digits,
    Hooked,
    Sampled,
    Shaken,
    Small,
    Streamed,
    Unlike,
    Untested,
    Watched,
)
from run_helpers import one_line, some_digits
from training_helpers import At, trained

from darts_lite import PairedData, PlayOff


def test_a_part_is_kept_for_validation() -> None:
    data = PairedData(Digits, validation_fraction=0.2)
    data.setup("fit")
    assert data.split_sizes == {"validation": 40, "weights": 80, "alphas": 80, "test": 60}
    assert sorted(torch.cat([*data.splits.values()]).tolist()) == [*range(200)]
    assert (data.in_channels, data.image_size, data.num_classes) == (1, 28, 1)


def test_its_own_loaders_are_read_and_nothing_is_mixed() -> None:
    data = PairedData(Watched)
    data.setup("fit")
    images, labels = some_digits()
    (seen, targets), (tested, _) = (
        next(iter(data.val_dataloader())),
        next(iter(data.test_dataloader())),
    )
    assert torch.equal(seen[:, 0], images[200:240] / 255)
    assert torch.equal(targets[:, 0], labels[200:240] / 10)
    assert torch.equal(tested[:, 0], images[240:] / 255)
    assert len(data.splits["weights"]) == len(data.splits["alphas"]) == 100


def test_an_epoch_holds_each_item_once() -> None:
    data = PairedData(Watched, settings={"targets": "labels"}, num_classes=10, search_batch_size=20)
    data.setup("fit")
    labels = torch.cat([targets for _, targets in data.weights_dataloader()])
    wanted = some_digits()[1][:200][data.splits["weights"]]
    assert labels.dtype == torch.long and labels.bincount().equal(wanted.bincount())


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (Digits, {"settings": {"targets": "labels"}}, ("data.num_classes",)),
        (Digits, {"settings": {"targets": "single"}}, ("(1,)", "(B, 1)")),
        (Digits, {"settings": {"side": 20}}, ("(1, 20, 28)", "side 1")),
        (Digits, {"settings": {"sides": 20}}, ("own_tasks.Digits", "sides")),
        (Untested, {}, ("pairs", "own_tasks.Untested")),
        ("own_tasks.Digit", {}, ("own_tasks.Digits?", "LightningDataModule")),
        ("nowhere.Digits", {}, ("nowhere.Digits", "run.imports: [nowhere]")),
        ("own_tasks.Small", {}, ("own_tasks.Small", "no class of that kind")),
        (Digits(), {}, ("own_tasks.Digits", "settings")),
        (Sampled, {}, ("train_dataloader", "Subset")),
        (Again, {}, ("own_tasks.Again", "training items again")),
        (Hooked, {}, ("on_after_batch_transfer", "collate_fn")),
        (Streamed, {}, ("train_dataloader", "numbered")),
        (Unlike, {"search_batch_size": 4}, ("own_tasks.Unlike", "no batch")),
        (Digits, {"batch_size": 0}, ("batch_size",)),
        (Digits, {"validation_fraction": 0.001}, ("validation_fraction", "200")),
    ],
)
def test_what_cannot_be_is_one_line(kind: Any, settings: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as error:
        data = PairedData(kind, **settings)
        data.setup("fit")
        next(iter(data.alphas_dataloader()))
    one_line(error, *words)


def test_a_changed_test_set_is_another_one() -> None:
    data, other = PairedData(Digits), PairedData(Digits, {"targets": "maps"}, num_classes=2)
    for each in (data, other):
        each.setup("fit")
    again = PairedData(Digits)
    again.setup("fit")
    assert data.checksum == again.checksum != other.checksum


def test_images_of_files_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("darts_lite.ImageData")):
        PairedData(Digits).prepare_as(None)  # type: ignore[arg-type]


def test_a_search_goes_on_exactly(tmp_path: Path) -> None:
    def make() -> PlayOff:
        sizes: Any = {"by_hand": 0, "at_random": 2, "children": 1, "finalists": 1}
        return PlayOff(Small, num_classes=1, image_size=28, task=NUMBERS, **sizes)

    def data() -> PairedData:
        return PairedData(Digits, search_batch_size=10)

    whole = trained(make, "", tmp_path / "a.ckpt", None, {}, data())
    with pytest.raises(InterruptedError):
        trained(make, "", tmp_path / "b.ckpt", At(7, interrupt), {}, data())
    again = trained(make, "", tmp_path / "b.ckpt", None, {}, data())
    assert whole.keys() == again.keys()
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def interrupt() -> None:
    raise InterruptedError


def test_validation_has_a_collate_of_its_own() -> None:
    data = PairedData(Shaken)
    data.setup("fit")
    (seen, _), (weights, _) = (
        next(iter(loader())) for loader in (data.val_dataloader, data.weights_dataloader)
    )
    assert float(seen.min()) == 0 and float(weights.min()) == 100
