"""What an int8 file needs in the micro interpreter."""

from test_litert_int8 import FILE, SEES, digits

from darts_lite.export.litert_int8 import ask_litert_int8
from darts_lite.export.micro import ask_micro, has_micro, measure_needs


def test_both_interpreters_answer_alike() -> None:
    pixels, labels = digits()
    small, other = ask_micro(SEES, FILE, pixels), ask_litert_int8(SEES, FILE, pixels).probabilities
    assert has_micro()
    assert (small.argmax(dim=1) == labels).float().mean() > 0.96
    assert (small - other).abs().max() < 0.1  # their kernels round otherwise


def test_the_arena_is_the_smallest_that_does() -> None:
    assert measure_needs(FILE) == (9744, FILE.stat().st_size)
