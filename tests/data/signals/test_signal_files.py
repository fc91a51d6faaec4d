"""Reading tables of signals, and refusing what is none."""

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import one_line, some_digits

from darts_lite.data.signals.signal_files import fit_length, read_rows
from darts_lite.data.signals.signal_table import read_table

X = some_digits()[0].numpy().astype(np.float32)  # 300 rows of 28 channels and 28 values
Y = some_digits()[1].numpy()
GOOD = {"train_x": X[:200], "train_y": Y[:200], "test_x": X[200:], "test_y": Y[200:]}


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_an_npz_file_has_its_parts(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.npz", **GOOD))
    assert (table.rows == X).all() and table.classes == tuple("0123456789")
    assert table.tested.tolist() == [False] * 200 + [True] * 100 and not table.chosen


def test_one_channel_may_have_no_axis(tmp_path: Path) -> None:
    flat = {name: part[:, 14] if part.ndim == 3 else part for name, part in GOOD.items()}
    table = read_table(write(tmp_path / "a.npz", **flat))
    assert table.rows.shape == (300, 1, 28) and (table.rows[:, 0] == X[:, 14]).all()


def test_a_csv_file_has_a_line_for_each_row(tmp_path: Path) -> None:
    lines = ["label,part,group,a_1,a_0,b_0,b_1"]
    lines += [
        f"{'up' if n % 2 else 'down'},{'test' if n > 3 else 'train'},s{n},1,0,2," for n in range(6)
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n\n")
    with pytest.raises(ValueError, match="value 2 of channel 2 in row 1 is NaN"):
        read_table(tmp_path / "a.csv")  # channel a goes on
    (tmp_path / "a.csv").write_text("\n".join(lines).replace(",1,0,2,", ",,0,2,"))
    table = read_table(tmp_path / "a.csv")
    assert table.classes == ("down", "up") and table.groups[:2] == ("s0", "s1")
    assert table.rows.shape == (6, 2, 2) and table.rows[0, :, 0].tolist() == [0, 2]
    assert np.isnan(table.rows[..., 1]).all()
    assert table.tested.tolist() == [False] * 4 + [True] * 2


def test_columns_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t11,t10,t9\n1,2,3\n")
    assert read_rows(tmp_path / "a.csv")[0].tolist() == [[[3, 2, 1]]]
    for header in ("-1,1,0", "-0.5,1.0,0.25", "x_-3,x_-1,x_-2", "x-1,x-3,x-2"):
        (tmp_path / "a.csv").write_text(f"{header}\n1,3,2\n")
        assert read_rows(tmp_path / "a.csv")[0].tolist() == [[[1, 2, 3]]], header
    (tmp_path / "a.csv").write_text("a_1,b.2,b.1,a_0\n1,2,3,4\n")
    assert read_rows(tmp_path / "a.csv")[0].tolist() == [[[4, 1], [3, 2]]]
    (tmp_path / "a.csv").write_bytes("t1,\u00e9\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match="a.csv is not in UTF-8"):
        read_rows(tmp_path / "a.csv")


def test_columns_of_any_names_are_one_channel(tmp_path: Path) -> None:
    text = "label,monday,tuesday\n" + "a,1,2\nb,3,4\n" * 6
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")
    table = read_table(tmp_path / "a.csv")
    assert table.rows[:2, 0].tolist() == [[1, 2], [3, 4]] and table.chosen


def test_shorter_rows_keep_their_last_value() -> None:
    rows = np.array([[[1, 2, np.nan]], [[4, 5, 6]]], np.float32)
    assert fit_length(rows, 3).tolist() == [[[1, 2, 2]], [[4, 5, 6]]]
    assert fit_length(rows, 5)[0].tolist() == [[1, 2, 2, 2, 2]]
    assert fit_length(rows, 1).tolist() == [[[1]], [[4]]]


def test_rows_without_labels_are_rows(tmp_path: Path) -> None:
    assert read_rows(write(tmp_path / "a.npz", x=X[:1]))[0].shape == (1, 28, 28)
    (tmp_path / "a.csv").write_text("0,1,2\n4,5,6\n")
    rows, labels = read_rows(tmp_path / "a.csv")
    assert rows.tolist() == [[[4, 5, 6]]] and labels == ()
    with pytest.raises(ValueError, match="has no labels"):
        read_table(tmp_path / "a.csv")


def changed(**arrays: Any) -> dict[str, Any]:
    return {**GOOD, **arrays}


def with_value(value: float) -> Any:
    rows = GOOD["train_x"].astype(np.float64)
    rows[3, 5, 7] = value
    return rows


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({}, "holds nothing; it must hold train_x"),
        ({"z": X}, "holds z; it must hold train_x"),
        (changed(groups=np.arange(300)), "perhaps train_groups and test_groups"),
        ({"x": X, "y": Y, "group": Y}, "holds group, x, y; it must hold"),
        (changed(train_groups=Y[:200] + 0.0), "train_groups must be 200 whole numbers or texts"),
        (changed(train_x=with_value(np.nan)), "value 8 of channel 6 in row 4 is NaN"),
        (changed(train_x=with_value(np.inf)), "value 8 of channel 6 in row 4 is NaN, or infinite"),
        (changed(train_x=with_value(1e300)), "infinite in 32 bits"),
        (changed(train_x=X[:200, :5]), "train_x and test_x must have as many channels"),
        (changed(train_x=X[:200].astype(complex)), "train_x must be numbers"),
        (changed(train_x=X[0, 0]), "train_x must be numbers (rows, channels, values)"),
        (changed(train_y=Y[:199]), "train_y must be 200 whole numbers or texts"),
        (changed(train_y=Y[:200] + 0.5), "train_y must be 200 whole numbers or texts"),
        (changed(train_y=Y[:200] * 0), "has training signals of 0 alone"),
        (changed(train_y=Y[:200] % 9, test_y=Y[200:]), "test signals of 9, and no training"),
        (
            changed(train_y=np.array(["a\n", "b"] * 100)),
            "the label 'a\\n', which cannot be printed",
        ),
        (changed(test_x=X[:0], test_y=Y[:0]), "has no test signal"),
        (changed(train_groups=np.arange(3)), "train_groups must be 200 whole numbers or texts"),
        (changed(train_groups=np.arange(200)), "tells groups of some rows only"),
        (
            changed(train_groups=np.arange(200), test_groups=np.arange(199, 299)),
            "the groups 199 have signals in training and test",
        ),
        (changed(train_x=X[:200, :, :0], test_x=X[200:, :, :0]), "0 values; it must have some"),
        (changed(train_x=np.array([[["a"]]], object)), "cannot be read as a table of signals"),
        (changed(train_y=np.array([{}] * 200)), "cannot be read as a table of signals"),
    ],
)
def test_what_is_no_table_is_told_in_a_line(
    tmp_path: Path, arrays: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError) as caught:
        read_table(write(tmp_path / "a.npz", **arrays))
    one_line(caught, "a.npz", told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the first line must name the columns"),
        ("label,0,0\na,1,2\n", "the first line must name the columns, each once"),
        ("label,0,1\na,1\n", "line 2 does not have 3 columns"),
        ("label,0\na,one\nb,2\n", "line 2 has 'one' in the column '0', which is no number"),
        ("label,0,id\na,1,2\n", "has the column 'id', which is none of label, part, group"),
        ("label,a_0,groups\na,1,2\n", "has the column 'groups', which is none of"),
        ("Label,0\na,1\n", "has the column 'Label', which is none of"),
        ("label,a_0,a_2\na,1,2\n", "'a_2' does not follow the one before"),
        ("label,0.0,0.1,0.4\na,1,2,3\n", "'0.4' does not follow the one before"),
        ("label,0.5,0.50\na,1,2\n", "'0.50' does not follow the one before"),
        ("label,v0.1,v0.2\na,1,2\n", "whether 'v0.1' has a sign or decimals cannot be told"),
        ("label,x-1,x0\na,1,2\n", "whether 'x0' has a sign or decimals cannot be told"),
        ("label,0\n\n\na,one\nb,2\n", "line 4 has 'one' in the column '0'"),
        ("label;0;1\na;1;2\n", "must be separated by commas, and not by ';'"),
        ('"a","b\nc"\n1,2\n', "has no labels"),
        ("label,0,group\na,1,g\nb,2,\na,1,g\n", "signal 2 has no group"),
        ("label,0\na,nan\nb,2\n", "value 1 of channel 1 in row 1 is NaN"),
        ("label,part,0\na,train,1\nb,tset,2\n", "part must be train or test, got 'tset'"),
        ("label,a_0,a_1,b_0\na,1,2,3\n", "they have a (2), b (1)"),
        ("label\na\nb\n", "has no column of values; add some beside label"),
        ("label,0\n", "0 signals"),
    ],
)
def test_what_is_no_csv_table_is_told_in_a_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError) as caught:
        read_table(tmp_path / "a.csv")
    one_line(caught, "a.csv", told)


def test_files_that_are_not_there_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file .*a.npz; name an npz or csv"):
        read_table(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="is no .npz or .csv file"):
        read_table(tmp_path / "a.mat")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_table(tmp_path / "folder.npz")


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def boast(content: bytes) -> bytes:
    """An array whose header claims more values than memory holds."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in GOOD:
            made = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                made, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 28, 28)}
            )
            archive.writestr(f"{name}.npy", made.getvalue() + b"0000")
    return out.getvalue()


@pytest.mark.parametrize("damage", [cut, flip, boast, lambda _: b"", lambda _: b"PK\x05\x06"])
def test_damaged_files_are_told_in_a_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path / "a.npz", **GOOD)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError) as caught, warnings.catch_warnings():
        warnings.simplefilter("error")
        read_table(path)
    one_line(caught, "cannot be read as a table of signals")


def test_channels_without_names_are_told_in_the_order_that_is_assumed(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, x=np.arange(12.0).reshape(2, 2, 3))
    with pytest.warns(UserWarning, match="names no channels: they are taken to be a, b, in this"):
        rows, _ = read_rows(path, ["a", "b"])
    assert np.array_equal(rows, np.arange(12.0).reshape(2, 2, 3))
