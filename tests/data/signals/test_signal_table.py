"""Classes of signals, and which of them are for the test."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from run_helpers import some_digits

from darts_lite.data.signals.signal_table import SignalTable, read_table, sort_names

X, Y = (part.numpy() for part in some_digits())


def table(path: Path, x: object = X, y: object = Y, **groups: object) -> SignalTable:
    np.savez(path, x=x, y=y, **groups)  # type: ignore[arg-type]
    return read_table(path)


def test_a_sixth_is_kept_for_the_test_always_alike(tmp_path: Path) -> None:
    found, again = table(tmp_path / "a.npz"), table(tmp_path / "b.npz")
    assert found.chosen and torch.equal(found.tested, again.tested)
    assert np.bincount(Y[found.tested.numpy()]).tolist() == [5] * 10
    items = found.load(28)
    assert items.train_items.shape == (250, 28, 28) and items.test_items.shape == (50, 28, 28)
    assert items.source == "signals in a.npz"
    assert items.held_out.chosen and len(items.held_out.digests) == 50


def test_groups_are_kept_whole(tmp_path: Path) -> None:
    groups = np.arange(300) // 10
    found = table(tmp_path / "a.npz", groups=groups)
    sides = groups[found.tested.numpy()], groups[~found.tested.numpy()]
    assert len(sides[0]) and not {*sides[0].tolist()} & {*sides[1].tolist()}
    assert found.load(28).train_groups is not None


def test_tested_rows_are_known_again(tmp_path: Path) -> None:
    then = table(tmp_path / "a.npz")
    tested = then.load(28).held_out.digests
    assert then.keep(tested) is then
    order = np.random.default_rng(0).permutation(300)
    more = np.concatenate([X[order], 255 - X[:20]]), np.concatenate([Y[order], Y[:20]])
    now = table(tmp_path / "a.npz", *more).keep(tested)
    assert {*now.load(28).held_out.digests} == {*tested}
    with pytest.raises(ValueError, match="has changed: of the 50 different signals .* 50 cannot"):
        table(tmp_path / "a.npz", 255 - X, Y).keep(tested)
    longer = np.pad(X.astype(np.float32), ((0, 1), (0, 0), (0, 2)), constant_values=np.nan)
    longer[-1] = 1.0
    assert table(tmp_path / "a.npz", longer, np.append(Y, Y[0])).keep(tested).tested.sum() == 50


def test_names_are_sorted_as_numbers_if_all_are() -> None:
    assert sort_names({"10", "9", "-1"}) == ("-1", "9", "10")
    assert sort_names({"10", "9", "a"}) == ("10", "9", "a")
    for names in permutations(("1", "01", "001")):
        assert sort_names(dict.fromkeys(names)) == ("001", "01", "1")


def test_classes_without_test_rows_are_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="has no test signal of b; its accuracy stays unknown"):
        table(tmp_path / "a.npz", X[:12], np.array(["a"] * 11 + ["b"]))


def test_rows_are_as_long_as_the_longest_one(tmp_path: Path) -> None:
    padded = np.pad(X.astype(np.float32), ((0, 0), (0, 0), (0, 9)), constant_values=np.nan)
    assert table(tmp_path / "a.npz", padded).longest == 28


def test_channels_come_in_the_order_of_a_net(tmp_path: Path) -> None:
    path, lines = tmp_path / "a.csv", ["a,2,1,1", "b,4,3,3"] * 9
    path.write_text("\n".join(["label,y_0,x_0,x_1".replace("x_1", "z_0"), *lines]))
    found = read_table(path)
    assert found.channels == ("y", "x", "z")
    ordered = found.order(["x", "y", "z"])
    assert ordered.rows[0, :, 0].tolist() == [1, 2, 1] and ordered.channels == ("x", "y", "z")
    assert found.order(()) == found or (found.order(()).rows == found.rows).all()
