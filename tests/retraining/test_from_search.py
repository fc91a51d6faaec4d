"""What a retraining takes from a search."""

from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import SMALL, fast_sgd, quiet_trainer
from training_helpers import play_off

from darts_lite.data.images.image_data import ImageData
from darts_lite.networks.net import Net
from darts_lite.retraining.from_search import FoundArchitecture
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.exploration.evaluators import SharedWeights
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture

CELL = (
    (("conv_3x3", 0), ("skip_connect", 1)),
    (("max_pool_3x3", 1), ("conv_3x3", 2)),
)


TINY = Architecture({"normal": CELL, "reduce": CELL}, {}, SMALL.skeleton, "tiny")


def searched(digits: ImageData, tmp_path: Path) -> Path:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    run = quiet_trainer(max_epochs=1, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_a_search_checkpoint_gives_architecture_and_weights(
    digits: ImageData, tmp_path: Path
) -> None:
    path = searched(digits, tmp_path)
    search = ArchitectureSearch.load_from_checkpoint(path)
    fresh, heir = Retraining(str(path)), Retraining(str(path), inherit=True)
    assert fresh.architecture == heir.architecture == search.derive()
    inherited = Net(search.derive(), 1, 10)
    inherited.inherit(search.supernet)
    for name, value in inherited.state_dict().items():
        assert torch.equal(heir.net.state_dict()[name], value)
    stem = "skeleton.stem.0.weight"
    assert not torch.equal(fresh.net.state_dict()[stem], heir.net.state_dict()[stem])
    heir_run, fresh_run = quiet_trainer(max_steps=10), quiet_trainer(max_steps=10)
    heir_run.fit(heir, datamodule=digits)
    fresh_run.fit(fresh, datamodule=digits)
    loss = "retraining/train_loss"
    assert heir_run.callback_metrics[loss] < fresh_run.callback_metrics[loss]


def test_weights_of_an_exploration_are_inherited(digits: ImageData, tmp_path: Path) -> None:
    search = Exploration(
        SMALL, evaluator=SharedWeights(0.5, 1), evaluations=2, weights_optimizer=fast_sgd
    )
    run = quiet_trainer(max_epochs=2, limit_val_batches=0)
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "last.ckpt")
    heir = Retraining(str(tmp_path / "last.ckpt"), inherit=True)
    inherited = Net(search.derive(), 1, 10)
    inherited.inherit(search.supernet)
    for name, value in inherited.state_dict().items():
        assert torch.equal(heir.net.state_dict()[name], value)


@pytest.mark.parametrize("form", ["path", "name", "dict", "object", "genotype"])
def test_every_form_of_an_architecture(form: str, tmp_path: Path) -> None:
    architecture = ARCHITECTURES["DARTS_V1"]
    architecture.save(tmp_path / "a.json")
    value: Any = {
        "path": str(tmp_path / "a.json"),
        "name": "DARTS_V1",
        "dict": architecture.to_dict(),
        "object": architecture,
        "genotype": architecture.genotype(),
    }[form]
    assert FoundArchitecture.of(value).architecture.choices == architecture.choices


def test_inheriting_from_an_architecture_file_is_refused(tmp_path: Path) -> None:
    TINY.save(tmp_path / "a.json")
    with pytest.raises(ValueError, match="inherit needs the path of a search checkpoint"):
        Retraining(str(tmp_path / "a.json"), inherit=True)


def test_inheriting_from_a_play_off_is_refused(digits: ImageData, tmp_path: Path) -> None:
    run = quiet_trainer(max_epochs=1, limit_train_batches=12, limit_val_batches=0)
    search = play_off()
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "last.ckpt")
    assert Retraining(str(tmp_path / "last.ckpt")).architecture == search.derive()
    with pytest.raises(ValueError, match="a PlayOff trains no supernet"):
        Retraining(str(tmp_path / "last.ckpt"), inherit=True)
