"""Signals as the data of a run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from run_helpers import one_line, quiet_trainer, some_digits
from signal_helpers import write_signals

from darts_lite.data.signals.signal_changes import SignalAugmentation
from darts_lite.data.signals.signal_data import SignalData
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.storage.components import build_loaded


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_signals(tmp_path_factory.mktemp("signals") / "digits.npz")


def test_batches_are_normalised_maps_of_height_1(path: Path) -> None:
    data = SignalData(str(path), batch_size=50)
    data.prepare_data()
    data.setup("fit")
    assert data.shape == (28, 1, 28) and data.axes == 1 and data.num_classes == 10
    assert data.split_sizes == {"validation": 24, "weights": 108, "alphas": 108, "test": 60}
    assert data.class_names == tuple("0123456789") and data.data_source == "signals in digits.npz"
    images, labels = some_digits()
    x, y = next(iter(data.test_dataloader()))
    assert x.shape == (60, 28, 1, 28) and torch.equal(y, labels[-60:].long())
    middle = images[:240, 14].double()
    expected = (images[-60:, 14] - middle.mean()) / middle.std(correction=0)
    torch.testing.assert_close(x[:, 14, 0], expected.float())
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, tuple) and batch[0].shape == (50, 28, 1, 28)


def test_rows_are_cut_and_filled(path: Path) -> None:
    for length in (10, 40):
        data = SignalData(str(path), signal_length=length)
        data.setup("fit")
        (x, _) = next(iter(data.test_dataloader()))
        assert x.shape == (60, 28, 1, length) and data.preparation.size == length
        assert torch.equal(x[..., 27:], x[..., 27:28].expand_as(x[..., 27:]))


def test_it_is_built_again_from_its_description(path: Path) -> None:
    data = SignalData(str(path), seed=3, augmentation=SignalAugmentation(shift=2))
    described = data.describe()
    assert described["class_path"] == "darts_lite.SignalData"
    assert described["init_args"]["augmentation"]["init_args"]["shift"] == 2
    settings = {**described["init_args"], "augmentation": None}
    again = build_loaded("data", "darts_lite.SignalData", settings, SignalData)
    for each in (data, again):
        each.setup("fit")
    assert again.checksum == data.checksum
    assert all(torch.equal(data.splits[name], again.splits[name]) for name in data.splits)


def test_a_trained_net_sees_signals_as_its_own(path: Path, tmp_path: Path) -> None:
    trained = SignalData(str(path), signal_length=20)
    trained.setup("fit")
    other = SignalData(str(write_signals(tmp_path / "other.npz", 150)))
    other.prepare_as(trained.preparation)
    other.setup("test")
    assert other.shape == (28, 1, 20) and other.preparation == trained.preparation
    with pytest.raises(ValueError) as caught:
        SignalData(str(path), signal_length=28).prepare_as(trained.preparation)
    one_line(caught, "data.signal_length is 28, and the net was trained on 20 values")
    rows = some_digits()[0].numpy()[:, :3]
    np.savez(tmp_path / "few.npz", x=rows, y=some_digits()[1].numpy())
    with pytest.raises(ValueError, match="trained on signals of 28 channels, and those of .* 3"):
        SignalData(str(tmp_path / "few.npz")).prepare_as(trained.preparation)


def test_a_net_is_trained_on_shorter_signals_and_tested_on_shifted_ones(path: Path) -> None:
    chain = Chain(3, 4, 2, (Block(5, 8), Block(3, 8, residual=True)), head=2, axes=1)
    net = Retraining(chain, 28, 10, smallest_side=0.5, test_shifts=1)
    data, trainer = SignalData(str(path)), quiet_trainer(max_epochs=2)
    trainer.fit(net, datamodule=data)
    (told,) = trainer.test(net, datamodule=data, verbose=False)
    assert 0 <= told["test/accuracy"] <= 1
    net.recipe = replace(net.recipe, test_shifts=0)
    x = torch.rand(2, 28, 1, 28)
    assert net.eval()(x).shape == (2, 10)


def test_wrong_settings_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="signal_length must be 1 to 100000, got 0"):
        SignalData(str(path), signal_length=0)
    with pytest.raises(ValueError, match="validation_fraction must lie in"):
        SignalData(str(path), validation_fraction=1.0)


def test_a_class_whose_groups_all_go_to_validation_is_named(tmp_path: Path) -> None:
    images, labels = (part.numpy() for part in some_digits())
    zeros, ones = images[labels == 0], images[labels == 1][:15]
    np.savez(
        tmp_path / "few.npz",
        train_x=np.concatenate([zeros[:24], ones[:10]]),
        train_y=[0] * 24 + [1] * 10,
        train_groups=[0] * 12 + [1] * 12 + [2] * 10,
        test_x=np.concatenate([zeros[24:26], ones[10:]]),
        test_y=[0] * 2 + [1] * 5,
        test_groups=[3] * 7,
    )
    data = SignalData(str(tmp_path / "few.npz"))
    with pytest.raises(ValueError, match="all groups of 1 are needed for validation"):
        data.setup("fit")


@pytest.mark.filterwarnings("ignore:all groups of")
def test_groups_that_leave_little_for_validation_are_told(tmp_path: Path) -> None:
    images, labels = (part.numpy() for part in some_digits())
    np.savez(
        tmp_path / "uneven.npz",
        train_x=images[:200],
        train_y=labels[:200],
        train_groups=np.minimum(np.arange(200), 3),  # three of a row each, and one of all others
        test_x=images[200:],
        test_y=labels[200:],
        test_groups=np.full(100, 4),
    )
    data = SignalData(str(tmp_path / "uneven.npz"), validation_fraction=0.2)
    with pytest.warns(UserWarning, match="training signals are for validation, and 40 were to be"):
        data.setup("fit")
    assert len(data.splits["validation"]) < 20
