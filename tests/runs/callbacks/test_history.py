"""What every epoch came to."""

from pathlib import Path

import pytest
import torch
from run_helpers import SMALL, Finished, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.plots.run_history import read_history
from darts_lite.runs.callbacks.history import History
from darts_lite.search.architecture_search import ArchitectureSearch


def test_a_run_tells_every_epoch_of_both_stages(finished: Finished) -> None:
    search = read_history(finished.directory / "history" / "search.json")
    steps = [moment.step for moment in search.moments]
    assert len(steps) == 3 and steps[0] == 0 and steps == sorted(steps)
    assert search.moments[-1].metrics["search/validation_accuracy"] == pytest.approx(
        finished.summary["search_validation_accuracy"]
    )
    assert search.groups["normal"].options == SMALL.candidates
    assert search.groups["normal"].rows == SMALL.groups["normal"].rows
    for moment in search.moments:
        for shares in moment.shares.values():
            torch.testing.assert_close(shares.sum(dim=1), torch.ones(5))
        assert list(moment.shares) == ["normal", "reduce"]
    first, *_, last = search.with_shares
    assert not torch.equal(first.shares["normal"], last.shares["normal"])
    retraining = read_history(finished.directory / "history" / "retraining.json")
    assert len(retraining.moments) == 3 and not retraining.with_shares
    assert retraining.moments[-1].metrics["retraining/validation_accuracy"] == pytest.approx(
        finished.summary["validation_accuracy"]
    )


def test_a_training_that_goes_on_keeps_what_was(digits: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "history" / "search.json"
    settings = {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 1}
    run = quiet_trainer(callbacks=[History(path)], **settings)
    run.fit(ArchitectureSearch(SMALL), datamodule=digits)
    run.save_checkpoint(tmp_path / "some.ckpt")
    before = read_history(path)
    path.unlink()
    run = quiet_trainer(callbacks=[History(path)], **{**settings, "max_epochs": 2})
    run.fit(ArchitectureSearch(SMALL), datamodule=digits, ckpt_path=tmp_path / "some.ckpt")
    after = read_history(path)
    assert [moment.step for moment in after.moments] == [0, 2, 4]
    assert [moment.metrics for moment in after.moments[:2]] == [m.metrics for m in before.moments]
