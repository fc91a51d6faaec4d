"""Words and numbers in few characters."""

from darts_lite.plots import labels
from darts_lite.storage.run_record import ACCURACY, Score


def test_numbers_are_exact_below_a_million() -> None:
    assert labels.shorten_number(999_999) == "999,999"
    assert labels.shorten_number(1_234_567) == "1.23 M"
    assert labels.shorten_number(5 * 10**12) == "5.00 T"


def test_long_texts_are_cut() -> None:
    assert labels.cut("golden", 6) == "golden" and labels.cut("golden", 5) == "gold\u2026"
    assert labels.shorten_name("my.ops." + "O" * 20) == "O" * 16 + "..."


def test_maps_and_accuracies() -> None:
    assert labels.format_map(32, 14) == "32 x 14 x 14"
    assert labels.tell_score(ACCURACY, 0.99529) == "99.53 % right in the test"
    score = Score("score", "R2Score", larger_is_better=True)
    assert labels.tell_score(score, 0.51234567) == "R2Score 0.51235 in the test"
