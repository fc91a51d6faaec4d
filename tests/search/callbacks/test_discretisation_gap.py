"""The derived net against the supernet."""

import pytest
import torch
from run_helpers import SMALL, fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.discretisation_gap import DiscretisationGap


def test_the_gap_is_logged_and_changes_nothing(digits_root: str) -> None:
    results = []
    for callbacks in ([], [DiscretisationGap()]):
        torch.manual_seed(0)
        search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
        run = quiet_trainer(max_epochs=2, limit_train_batches=8, callbacks=callbacks)
        run.fit(search, datamodule=ImageData(root=digits_root, search_batch_size=32))
        results.append((search.state_dict(), dict(run.callback_metrics)))
    (plain, without), (watched, metrics) = results
    assert all(torch.equal(plain[name], value) for name, value in watched.items())
    assert metrics["derived/gap"] == pytest.approx(
        float(metrics["search/validation_accuracy"] - metrics["derived/validation_accuracy"])
    )
    assert 0.05 < metrics["derived/validation_accuracy"] <= 1
    assert "derived/gap" not in without


def test_a_supernet_that_is_discrete_already_has_no_gap(digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    for alpha in search.supernet.alphas.values():
        alpha.data.fill_(-40.0)[:, 0] = 0.0  # `none` on the edges that are not kept
        alpha.data[[0, 1, 3, 4], 0], alpha.data[[0, 1, 3, 4], 3] = -40.0, 0.0
        alpha.data[2, 1] = -39.0
    run = quiet_trainer(callbacks=[DiscretisationGap()])
    run.validate(search, datamodule=digits, verbose=False)
    assert abs(run.callback_metrics["derived/gap"]) < 0.3


def test_a_part_of_the_channels_has_no_net(digits: ImageData) -> None:
    search = ArchitectureSearch(SMALL, partial_channels=2)
    run = quiet_trainer(limit_val_batches=1, callbacks=[DiscretisationGap()])
    run.validate(search, datamodule=digits, verbose=False)
    assert "search/validation_accuracy" in run.callback_metrics
    assert "derived/validation_accuracy" not in run.callback_metrics
