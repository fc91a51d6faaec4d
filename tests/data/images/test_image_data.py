"""ImageData: splits, batches, and what a checkpoint keeps of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from run_helpers import write_digits
from torch import Tensor

from darts_lite.data.batches import Batches
from darts_lite.data.images.augmentation import Augmentation
from darts_lite.data.images.datasets import DATASETS, EmbeddedDataWarning
from darts_lite.data.images.image_data import ImageData


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MNIST's files with 1,000 real training digits, unevenly many per class, and 250 for test."""
    sizes = [148, 52, 100, 100, 100, 100, 100, 100, 100, 100]
    train = torch.cat([torch.arange(500 * c, 500 * c + size) for c, size in enumerate(sizes)])
    test = torch.cat([torch.arange(500 * c + 400, 500 * c + 425) for c in range(10)])
    folder = tmp_path_factory.mktemp("data")
    write_digits(folder, train, test)
    return str(folder)


@pytest.fixture
def make(root: str) -> Callable[..., ImageData]:
    def build(**settings: Any) -> ImageData:
        data = ImageData(root=root, **settings)
        data.setup("fit")
        return data

    return build


def first(loader: Any) -> Tensor:
    """The images of the first batch."""
    return next(iter(loader))[0]


def labels_of(data: ImageData, split: str) -> Tensor:
    return torch.cat([y for _, y in data._batches("train", data.splits[split], 64)])


# --- splits


def test_splits_are_disjoint_and_cover_the_training_set(make: Callable[..., ImageData]) -> None:
    data = make(validation_fraction=0.2)
    assert set(data.splits) == {"weights", "alphas", "validation"}
    together = torch.cat(list(data.splits.values()))
    assert torch.equal(together.sort().values, torch.arange(1000))
    assert data.split_sizes == {"validation": 200, "weights": 400, "alphas": 400, "test": 250}
    assert data.data_source == "local files"


def test_splits_are_stratified(make: Callable[..., ImageData]) -> None:
    data = make(validation_fraction=0.2)
    for split, share in (("validation", 0.2), ("weights", 0.4), ("alphas", 0.4)):
        counts = labels_of(data, split).bincount(minlength=10)
        expected = share * torch.tensor([148, 52] + [100] * 8)
        assert (counts - expected).abs().max() <= 1, split


def test_splits_follow_the_data_seed_alone(make: Callable[..., ImageData]) -> None:
    first = make(seed=1).splits
    torch.manual_seed(123)
    second, other = make(seed=1).splits, make(seed=2).splits
    for name in first:
        assert torch.equal(first[name], second[name])
        assert not torch.equal(first[name], other[name])


def test_a_subset_is_exact_stratified_and_nested(make: Callable[..., ImageData]) -> None:
    small, large = make(train_images=101), make(train_images=500)
    assert sum(small.split_sizes.values()) == 101 + 250
    chosen = torch.cat(list(small.splits.values()))
    assert set(chosen.tolist()) < set(torch.cat(list(large.splits.values())).tolist())
    counts = torch.cat([labels_of(small, split) for split in small.splits]).bincount(minlength=10)
    assert (counts - 0.101 * torch.tensor([148, 52] + [100] * 8)).abs().max() < 1.5


def test_more_images_than_there_are(root: str) -> None:
    with pytest.raises(ValueError, match="^train_images is 1001, .* has 1000$"):
        ImageData(root=root, train_images=1001).setup("fit")


# --- batches


def test_a_batch_is_normalised(make: Callable[..., ImageData]) -> None:
    data = make()
    x, y = next(iter(data.val_dataloader()))
    assert x.shape == (100, 1, 28, 28) and x.dtype == torch.float32 and x.is_contiguous()
    assert y.shape == (100,) and y.dtype == torch.int64
    pixels = data.items.train_items[data.splits["validation"]]
    torch.testing.assert_close(x, (pixels / 255 - 0.1307) / 0.3081)
    assert torch.equal(data.prepare(pixels), x)


def test_training_batches_take_both_splits_and_drop_the_rest(
    make: Callable[..., ImageData],
) -> None:
    data = make(batch_size=128)
    loader = data.train_dataloader()
    assert isinstance(loader, Batches)
    batches: list[Any] = list(loader)
    assert len(loader) == len(batches) == 900 // 128
    assert all(len(y) == 128 for _, y in batches)
    again = list(loader)
    assert not torch.equal(batches[0][1], again[0][1])
    repeated: list[Any] = list(make(batch_size=128).train_dataloader())
    assert torch.equal(batches[0][0], repeated[0][0])


def test_a_split_smaller_than_a_batch_is_one_batch(make: Callable[..., ImageData]) -> None:
    loader = make(train_images=50, batch_size=128).train_dataloader()
    assert len(loader) == 1
    assert [len(y) for _, y in loader] == [45]


def test_evaluation_keeps_every_image_in_order(make: Callable[..., ImageData]) -> None:
    data = make(evaluation_batch_size=64, augmentation=Augmentation(shift=3))
    for loader in (data.test_dataloader(), data.predict_dataloader()):
        batches = list(loader)
        assert len(loader) == 4 and [len(y) for _, y in batches] == [64, 64, 64, 58]
        images, labels = data.items.test_items, data.items.test_labels
        assert torch.equal(torch.cat([y for _, y in batches]), labels)
        torch.testing.assert_close(batches[0][0], data.prepare(images[:64]))


def test_augmentation_follows_the_global_seed(make: Callable[..., ImageData]) -> None:
    results: list[Any] = []
    for _ in range(2):
        data = make(augmentation=Augmentation(shift=2, rotation=10.0, erase=5))
        torch.manual_seed(7)
        results.append(first(data.train_dataloader()))
    assert torch.equal(*results)
    assert not torch.equal(results[0], first(make().train_dataloader()))


# --- within a Trainer


class Recorder(LightningModule):
    """Keeps the labels of every training batch and stops after ``stop`` of them."""

    def __init__(self, paired: bool, stop: int | None = None) -> None:
        super().__init__()
        self.paired_batches, self.stop = paired, stop
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.automatic_optimization = False
        self.seen: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        optimizer.step()
        self.seen.append(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        assert len(batch[0]) == 100

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if len(self.seen) == self.stop:
            self.trainer.save_checkpoint(Path(self.trainer.default_root_dir) / "stopped.ckpt")
            raise KeyboardInterrupt

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def train(model: Recorder, data: ImageData, folder: Path, checkpoint: Path | None = None) -> None:
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint)


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval.*"),
]


def test_a_search_gets_pairs(root: str, tmp_path: Path) -> None:
    data, model = ImageData(root=root, search_batch_size=50), Recorder(paired=True)
    train(model, data, tmp_path)
    assert len(model.seen) == 3 * 9
    assert set(model.seen[0]) == {"weights", "alphas"}
    for split, epoch in (("weights", 0), ("alphas", 2)):
        given = torch.cat([pair[split][0] for pair in model.seen[9 * epoch : 9 * epoch + 9]])
        own = data.prepare(data.items.train_items[data.splits[split]])
        assert given.flatten(1).sum(1).sort().values.allclose(own.flatten(1).sum(1).sort().values)
    partners = [(pair["weights"][0][0].sum(), pair["alphas"][0][0].sum()) for pair in model.seen]
    assert len(set(partners)) > 20


def test_anything_else_gets_plain_batches(root: str, tmp_path: Path) -> None:
    data, model = ImageData(root=root, batch_size=100), Recorder(paired=False)
    train(model, data, tmp_path)
    assert len(model.seen) == 3 * 9
    x, y = model.seen[0]
    assert x.shape == (100, 1, 28, 28) and y.shape == (100,)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("stop", [4, 9, 13])
def test_a_run_stopped_anywhere_goes_on_with_the_same_batches(
    root: str, tmp_path: Path, stop: int, paired: bool
) -> None:
    def build(steps: int | None = None) -> tuple[Recorder, ImageData]:
        return Recorder(paired, steps), ImageData(root=root, search_batch_size=50, batch_size=100)

    whole, stopped, resumed = build(), build(stop), build()
    train(*whole, tmp_path)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(*stopped, tmp_path)
    train(*resumed, tmp_path, checkpoint=tmp_path / "stopped.ckpt")
    after = stopped[0].seen + resumed[0].seen
    assert len(after) == len(whole[0].seen)
    for one, other in zip(after, whole[0].seen, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


# --- settings


def test_the_shape_of_the_data_is_known_before_any_file_is_read() -> None:
    data = ImageData("CIFAR100", root="/nowhere")
    assert (data.num_classes, data.in_channels, data.image_size) == (100, 3, 32)
    with pytest.raises(RuntimeError, match="call setup"):
        _ = data.data_source


def test_settings_survive_a_checkpoint(root: str, tmp_path: Path) -> None:
    augmentation = Augmentation(shift=2, flip=True)
    data = ImageData(root=root, seed=3, search_augmentation=augmentation)
    torch.save({"data": data.describe(), "hparams": dict(data.hparams)}, tmp_path / "x.ckpt")
    stored = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert stored["data"]["class_path"] == "darts_lite.ImageData"
    assert stored["data"]["init_args"] == stored["hparams"]
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ImageData, "data")
    again = parser.instantiate(parser.parse_object({"data": stored["data"]})).data
    assert again.describe() == data.describe()
    assert isinstance(again.search_augmentation, Augmentation)


@pytest.mark.usefixtures("offline")
def test_the_embedded_digits_serve_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARTS_LITE_DATA", str(tmp_path))
    data = ImageData()
    with pytest.warns(EmbeddedDataWarning):
        data.prepare_data()
    data.setup("fit")
    data.setup("test")
    assert data.data_source == "embedded 5,000 digits"
    assert data.split_sizes == {"validation": 400, "weights": 1800, "alphas": 1800, "test": 1000}
    for split in data.splits:
        assert labels_of(data, split).bincount().unique().numel() == 1


def test_full_mnist() -> None:
    shared = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("DARTS_LITE_DATA", shared))
    if not all((root / file).is_file() for file in DATASETS["MNIST"].files):
        pytest.skip("full MNIST is not here: set DARTS_LITE_DATA to the folder that holds it")
    data = ImageData(root=str(root))
    data.setup("fit")
    assert data.split_sizes["test"] == 10000
    assert sum(data.split_sizes.values()) == 70000
    x, _ = next(iter(data.val_dataloader()))
    assert abs(x.mean()) < 0.05 and abs(x.std() - 1) < 0.05


# --- epochs of a set length


def test_a_small_set_is_passed_several_times(make: Callable[..., ImageData]) -> None:
    data = make(validation_fraction=0.2, batch_size=50, least_batches_per_epoch=40)
    batches = data.train_dataloader()
    assert isinstance(batches, Batches)
    assert len(batches) == 40
    labels = torch.cat([y for _, y in batches])
    once = labels_of(data, "weights").bincount() + labels_of(data, "alphas").bincount()
    assert len(labels) == 2000
    assert (labels.bincount() - 2.5 * once).abs().max() <= 0.5 * once.max()
    assert len(make(batch_size=50, least_batches_per_epoch=2).train_dataloader()) == 18


@pytest.mark.parametrize("length", [3, 30])
def test_a_search_epoch_can_have_any_length(make: Callable[..., ImageData], length: int) -> None:
    data = make(search_batch_size=25)
    batches = data._batches("train", data.splits["weights"], 25, shuffle="weights")
    batches.length = length
    first_epoch, second_epoch = ([y for _, y in batches] for _ in range(2))
    assert len(batches) == len(first_epoch) == length
    assert all(len(labels) == 25 for labels in first_epoch)
    assert not torch.equal(torch.cat(first_epoch), torch.cat(second_epoch))
