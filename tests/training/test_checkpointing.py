"""Checkpoints from which a stage goes on exactly."""

import errno
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import SMALL, fast_sgd, quiet_trainer, some_slow
from training_helpers import At, play_off, retraining, search, trained

from darts_lite.data.images.image_data import ImageData
from darts_lite.runs.precision import choose_precision
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.evaluators import SharedWeights
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.storage.atomic_files import write_text
from darts_lite.training.checkpointing import (
    AtomicCheckpointIO,
    StageCheckpoint,
    read_saved_state,
    rotate,
)


class Cut(Exception):
    """As if the process had been killed."""


def cut() -> None:
    raise Cut


def exploration() -> Exploration:
    return Exploration(
        SMALL,
        evaluator=SharedWeights(weights_epochs=1.0, batches=1),
        evaluations=9,
        weights_optimizer=fast_sgd,
    )


@pytest.fixture(scope="module")
def uninterrupted(digits_root: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The state that each kind of training ends with, computed once."""

    @cache
    def train(make: Any) -> dict[str, torch.Tensor]:
        return trained(make, digits_root, tmp_path_factory.mktemp("whole") / "a.ckpt", None, {})

    return train


@pytest.mark.parametrize("step", some_slow([9], [2, 16]))
@pytest.mark.parametrize(
    "make", [search, exploration, play_off, retraining], ids=lambda make: make.__name__
)
def test_a_training_goes_on_exactly(
    make: Any, step: int, digits_root: str, tmp_path: Path, uninterrupted: Any
) -> None:
    whole = uninterrupted(make)
    with pytest.raises(Cut):
        trained(make, digits_root, tmp_path / "b.ckpt", At(step, cut), {})
    again = trained(make, digits_root, tmp_path / "b.ckpt", None, {})
    assert whole.keys() == again.keys()
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "precision"), [(search, "64-true"), (search, "16-mixed"), (play_off, "16-mixed")]
)
def test_other_precisions_go_on_exactly(
    make: Any, precision: str, digits_root: str, tmp_path: Path
) -> None:
    def settings() -> dict[str, Any]:
        return choose_precision("cpu", precision)

    whole = trained(make, digits_root, tmp_path / "a.ckpt", None, settings())
    with pytest.raises(Cut):
        trained(make, digits_root, tmp_path / "b.ckpt", At(13, cut), settings())
    again = trained(make, digits_root, tmp_path / "b.ckpt", None, settings())
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, files = tmp_path / "last.ckpt", AtomicCheckpointIO()
    files.save_checkpoint({"step": 1}, path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space.*the one before is intact: .*last.ckpt"):
        files.save_checkpoint({"step": 2}, path)
    assert files.load_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]
    files.remove_checkpoint(path)
    files.remove_checkpoint(path)
    assert not path.exists()


def test_the_checkpoints_before_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    for text in "abcd":
        for _ in range(2):  # as by a run that is killed in between
            rotate(path, 3)
        write_text(path, text)
    names = {one.name: one.read_text() for one in tmp_path.iterdir()}
    assert names == {"last.ckpt": "d", "last-1.ckpt": "c", "last-2.ckpt": "b"}


def test_the_end_is_kept_beside_the_epochs_before(digits_root: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    saving = StageCheckpoint(path, keep=3)
    run = quiet_trainer(
        max_epochs=4, callbacks=[saving], plugins=[AtomicCheckpointIO()], enable_checkpointing=True
    )
    digits = ImageData(root=digits_root, search_batches_per_epoch=1)
    run.fit(ArchitectureSearch(SMALL), datamodule=digits)
    saving.end(run, {"kept": True})
    steps = [
        torch.load(path.with_stem(stem), weights_only=True)["loops"]["fit_loop"]
        for stem in ("last", "last-1", "last-2")
    ]
    assert [loop["epoch_progress"]["current"]["processed"] for loop in steps] == [4, 3, 2]
    assert len([*path.parent.iterdir()]) == 3
    assert read_saved_state(torch.load(path, weights_only=True))["results"] == {"kept": True}


def test_the_state_is_found_in_a_checkpoint(digits_root: str, tmp_path: Path) -> None:
    trained(retraining, digits_root, tmp_path / "a.ckpt", None, {})
    state = read_saved_state(torch.load(tmp_path / "a.ckpt", weights_only=True))
    assert state["seconds"] > 0
    assert "retraining/validation_accuracy" in state["metrics"]
    assert state["results"] is None
    assert read_saved_state({}) == {}
