"""The benchmark of what ranks nets."""

from pathlib import Path

import pays
import pytest
import ranking


def test_ranks_are_compared_for_all_and_for_the_best() -> None:
    accuracies = [place / 100 for place in range(40)]
    assert ranking.compare(accuracies, [-each for each in accuracies]) == "1.00, 1.00"
    assert ranking.compare(accuracies, accuracies) == "-1.00, -1.00"
    # The best sixteen in the wrong order, behind which all others come in the right one.
    mixed = [-each for each in accuracies[:24]] + accuracies[24:]
    assert ranking.compare(accuracies, [each - (each > 0) for each in mixed]).endswith("-1.00")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rows_are_made_once_and_reported(
    found_digits: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = {"BY_HAND": 3, "CHILDREN": 1, "AT_RANDOM": 1, "HELD_OUT": 100}
    small["CELLS"] = [pays.Cell("MNIST", 1000, 2, images=640, epochs=1)]  # type: ignore[assignment]
    for name, value in small.items():
        monkeypatch.setattr(ranking, name, value)
    words = ["--results", str(tmp_path / "ranking.jsonl"), "--cell", "MNIST 1000"]
    ranking.main(words)
    said = capsys.readouterr().out
    assert said.startswith("5 nets: deviation") and "| shared weights |" in said
    before = (tmp_path / "ranking.jsonl").read_text()
    ranking.main(words)
    assert (tmp_path / "ranking.jsonl").read_text() == before
