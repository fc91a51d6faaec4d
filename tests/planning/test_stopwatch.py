"""What a stopwatch sees of a training."""

import pytest
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.planning.stopwatch import Stopwatch, apply_limit
from darts_lite.search.architecture_search import ArchitectureSearch


@pytest.mark.parametrize(
    ("limit", "left"), [(None, 40), (3, 3), (100, 40), (1.0, 40), (0.25, 10), (0, 0)]
)
def test_a_limit_is_a_number_or_a_part(limit: int | float | None, left: int) -> None:
    assert apply_limit(40, limit) == left


def test_every_step_and_validation_has_its_time(digits: ImageData) -> None:
    watch = Stopwatch({"train": 5, "validation": None})
    trainer = quiet_trainer(
        max_epochs=2, limit_train_batches=3, limit_val_batches=1, callbacks=[watch]
    )
    trainer.fit(ArchitectureSearch(SMALL), datamodule=digits)
    assert [len(steps) for steps in watch.steps] == [3, 3]
    assert [len(batches) for batches in watch.validations] == [1, 1]
    assert watch.lengths == {"train": 5, "validation": 1}
    seconds = [step for steps in watch.steps for step in steps]
    assert all(second > 0 for second in seconds) and watch.test == 0.0
    assert min(watch.steps[1]) <= watch.step(1) <= max(watch.steps[1])
    assert watch.repeated >= sum(map(sum, watch.validations)) > 0
