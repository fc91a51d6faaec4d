"""A trainer's callbacks are found by their class, and its timer asked."""

from lightning.pytorch.callbacks import Callback, Timer
from run_helpers import quiet_trainer

from darts_lite.training.callbacks import find_callback, read_spent_time


class First(Callback):
    pass


class Second(First):
    pass


def test_the_first_of_a_class_is_found() -> None:
    first, second = First(), Second()
    run = quiet_trainer(callbacks=[first, second])
    assert find_callback(run, First) is first
    assert find_callback(run, Second) is second
    assert find_callback(quiet_trainer(), First) is None


def test_the_share_of_a_limit_in_time() -> None:
    for timer, share in (
        (Timer(), None),
        (Timer({"seconds": 100}), 0.25),
        (Timer({"seconds": 10}), 1.0),
    ):
        timer.load_state_dict({"time_elapsed": {"train": 25.0}})
        assert read_spent_time(quiet_trainer(callbacks=[First(), timer])) == share
    assert read_spent_time(quiet_trainer()) is None
    assert read_spent_time(quiet_trainer(max_time={"seconds": 1000})) == 0.0
