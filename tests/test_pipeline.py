"""The stages of a run."""

from pathlib import Path

import torch
from runs import SMALL, quiet_trainer
from torch import nn

from darts_lite import pipeline
from darts_lite.architecture import Architecture
from darts_lite.data import ImageData
from darts_lite.derivation import WithinBudget
from darts_lite.net import Net
from darts_lite.pipeline import multiply_adds
from darts_lite.retraining import Retraining
from darts_lite.saving import Saving
from darts_lite.search import ArchitectureSearch


def test_multiply_adds_of_a_net_counted_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),  # 14 * 14 * 4 * 9
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # 14 * 14 * 4 * 9
        nn.Flatten(),
        nn.Linear(14 * 14 * 4, 10),
    ).train()
    assert multiply_adds(net, 28, 1) == 2 * 14 * 14 * 4 * 9 + 14 * 14 * 4 * 10
    assert net.training


def test_counting_changes_no_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    multiply_adds(net, 8, 1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_search_that_has_ended_is_derived_again_within_its_budget(
    digits: ImageData, tmp_path: Path
) -> None:
    def search() -> ArchitectureSearch:
        return ArchitectureSearch(SMALL, derivation=WithinBudget(multiply_adds=10**7))

    last = tmp_path / "checkpoints" / "last.ckpt"
    saving = {"callbacks": [Saving(last)], "enable_checkpointing": True}
    trainer = quiet_trainer(max_epochs=1, limit_train_batches=2, **saving)
    results = pipeline.search(trainer, search(), digits, tmp_path)
    again = pipeline.search(quiet_trainer(), search(), digits, tmp_path / "again", last)
    assert again == results
    left = [folder / "architecture.json" for folder in (tmp_path, tmp_path / "again")]
    assert Architecture.load(left[0]) == Architecture.load(left[1])


def test_an_auxiliary_head_is_no_part_of_what_is_handed_on(
    digits: ImageData, tmp_path: Path
) -> None:
    architecture = ArchitectureSearch(SMALL).derive()
    model = Retraining(architecture, auxiliary_weight=0.4)
    saving = {"callbacks": [Saving(tmp_path / "last.ckpt")], "enable_checkpointing": True}
    trainer = quiet_trainer(max_epochs=1, limit_train_batches=2, **saving)
    results = pipeline.retrain(trainer, model, digits, tmp_path)
    counted = sum(weights.numel() for weights in Net(architecture, 1, 10).parameters())
    assert results["params"] == counted < sum(w.numel() for w in model.net.parameters())
