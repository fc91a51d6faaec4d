"""Launchers by name."""

import pytest

from darts_lite.launchers.known import make_launcher
from darts_lite.launchers.local import Local


class Own(Local):
    """A launcher of one's own."""


def test_names_and_classes_make_launchers() -> None:
    assert make_launcher("here", None, None, 1) is None
    made = make_launcher("local", None, ["0"], 2)
    assert isinstance(made, Local) and made.count_slots(1) == 2
    assert type(make_launcher(f"{__name__}.Own", None, None, 1)).__name__ == "Own"
    for name, told in (
        ("cloud", "choose from here, local, ray"),
        ("no.such.Thing", "cannot make"),
        ("collections.OrderedDict", "is no launcher, as it has no count_slots"),
    ):
        with pytest.raises(ValueError, match=told):
            make_launcher(name, None, None, 1)
    with pytest.raises(ValueError, match=r"run\.address is for ray"):
        make_launcher("local", "auto", None, 1)
