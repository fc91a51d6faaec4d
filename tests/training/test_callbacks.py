"""A trainer's callbacks are found by their class."""

from lightning.pytorch.callbacks import Callback
from run_helpers import quiet_trainer

from darts_lite.training.callbacks import find_callback


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
