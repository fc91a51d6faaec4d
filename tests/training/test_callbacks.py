"""A trainer's callbacks are found by their class."""

from lightning.pytorch.callbacks import Callback
from run_helpers import quiet_trainer

from darts_lite.training.callbacks import callback_of


class First(Callback):
    pass


class Second(First):
    pass


def test_the_first_of_a_class_is_found() -> None:
    first, second = First(), Second()
    run = quiet_trainer(callbacks=[first, second])
    assert callback_of(run, First) is first
    assert callback_of(run, Second) is second
    assert callback_of(quiet_trainer(), First) is None
