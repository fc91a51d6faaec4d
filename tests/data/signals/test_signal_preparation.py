"""How a row of numbers becomes what a net sees."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_helpers import one_line, some_digits

from darts_lite.data.preparation import PreparedItem, build_preparation
from darts_lite.data.signals.signal_preparation import SignalPreparation, measure_signals

SEEN = SignalPreparation(2, 28, (100.0, -3.0), (50.0, 2.0))


def test_it_comes_back_from_plain_values() -> None:
    assert build_preparation(SEEN.to_dict()) == SEEN
    assert SEEN.to_dict()["class_path"] == "darts_lite.SignalPreparation"
    assert SEEN.describe() == "28 values, 2 channels" and SEEN.shape == (2, 28)
    assert SEEN.front()(torch.zeros(3, 2, 28)).shape == (3, 2, 1, 28)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("channels", 0, "channels of its signals is 0"),
        ("size", 1e9, "size of its signals"),
        ("mean", [0.0], "a value for each channel"),
        ("mean", [0.0, float("nan")], "mean of its signals"),
        ("std", [1.0, 0.0], "numbers above 0"),
        ("std", "ab", "numbers above 0"),
    ],
)
def test_what_no_run_writes_is_refused(name: str, value: Any, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        build_preparation({**SEEN.to_dict(), name: value})
    one_line(caught, told)


def test_a_file_of_one_signal_is_read(tmp_path: Path) -> None:
    rows = some_digits()[0][:2, 13:15].numpy()
    np.savez(tmp_path / "one.npz", x=rows[:1])
    assert SEEN.read(tmp_path / "one.npz").values.tolist() == rows[0].tolist()
    short = SignalPreparation(2, 20, SEEN.mean, SEEN.std).read(tmp_path / "one.npz")
    assert short.values.shape == (2, 20) and short.doubt == "and 0 others are cut to 20 values"
    np.savez(tmp_path / "two.npz", x=rows)
    with pytest.raises(ValueError, match="has 2 signals; give a file of one"):
        SEEN.read(tmp_path / "two.npz")
    with pytest.raises(ValueError, match="signals of 2 channels; this net takes 1"):
        SignalPreparation(1, 28, (0.0,), (1.0,)).read(tmp_path / "two.npz")


def test_a_file_of_rows_gives_all_of_them(tmp_path: Path) -> None:
    rows = some_digits()[0][:3, 13:15].numpy().astype("float32")
    rows[1, :, 10:] = np.nan  # the second one is shorter
    np.savez(path := tmp_path / "rows.npz", x=rows)
    found = SignalPreparation(2, 20, SEEN.mean, SEEN.std).read_all(path)
    assert [one.name for one in found] == [f"{path} row {place}" for place in (1, 2, 3)]
    items = [one.item for one in found if isinstance(one.item, PreparedItem)]
    assert [item.doubt for item in items] == ["and 1 others are cut to 20 values", None, None]
    assert items[1].values[:, 9:].unique(dim=1).shape == (2, 1) and found[1].label is None


def test_a_row_with_a_gap_leaves_the_others(tmp_path: Path) -> None:
    rows = some_digits()[0][:3, 13:15].numpy().astype("float32")
    rows[1, 0, 5:7], rows[1, 1, 9] = np.nan, np.inf
    np.savez(path := tmp_path / "rows.npz", x=rows, y=["a", "b", "c"])
    first, second, third = SEEN.read_all(path)
    assert isinstance(first.item, PreparedItem) and isinstance(third.item, PreparedItem)
    assert first.item.values.equal(torch.from_numpy(rows[0]))
    assert (first.label, third.label) == ("a", "c")
    assert "value 6 of channel 1 in row 2 is NaN" in str(second.item)
    np.savez(path, x=rows[1:2])
    with pytest.raises(ValueError, match="row 1 is NaN"):
        SEEN.read(path)


def test_each_channel_is_measured() -> None:
    rows = some_digits()[0].float()
    mean, std = measure_signals(rows)
    torch.testing.assert_close(torch.tensor(mean), rows.mean(dim=(0, 2)))
    assert std[0] == 1.0 and rows[:, 0].std() == 0  # the margin of digits is empty
    assert std[14] == pytest.approx(float(rows[:, 14].std(correction=0)), rel=1e-5)
    assert measure_signals(torch.full((5, 1, 9), 0.1))[1] == (1.0,)


def test_channels_are_known_by_their_names(tmp_path: Path) -> None:
    write = (tmp_path / "a.csv").write_text
    seen = SignalPreparation(2, 2, (0.0, 0.0), (1.0, 1.0), ("x", "y"))
    assert build_preparation(seen.to_dict()) == seen
    assert seen.describe() == "2 values, 2 channels (x, y)"
    write("y_0,y_1,x_0,x_1\n3,4,1,2\n")
    assert torch.equal(seen.read(tmp_path / "a.csv").values, torch.tensor([[1.0, 2], [3, 4]]))
    write("y_0,y_1,z_0,z_1\n3,4,1,2\n")
    with pytest.raises(ValueError) as caught:
        seen.read(tmp_path / "a.csv")
    one_line(caught, "has the channels y, z, and this net takes x, y")
    with pytest.raises(ValueError, match="names of its signals must be one for each channel"):
        build_preparation({**seen.to_dict(), "names": ["x"]})
