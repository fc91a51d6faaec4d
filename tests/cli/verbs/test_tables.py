"""Tables that spreadsheets read."""

import csv
from io import StringIO
from pathlib import Path

import pytest

from darts_lite.cli.verbs.tables import format_table


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (Path("=1+1.png"), "./=1+1.png"),
        (Path("-x/+y.png"), "./-x/+y.png"),
        (Path("@x.png"), "./@x.png"),
        (Path("\t=x.png"), "./\t=x.png"),
        (Path(" =x.png"), "./ =x.png"),
        (Path("plain, with a comma.png"), "plain, with a comma.png"),
        (Path("/=x.png"), "/=x.png"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("-1", "-1"),
        ("-1+1", "'-1+1"),
        ("a=b", "a=b"),
        ("", ""),
        (-1, "-1"),
    ],
)
def test_no_cell_is_a_formula(cell: object, written: str) -> None:
    text = format_table(("image", "class"), [(cell, "cat")])
    assert [*csv.reader(StringIO(text))] == [["image", "class"], [written, "cat"]]


def test_a_path_that_is_made_harmless_is_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("=1.png").touch()
    _, (path,) = csv.reader(StringIO(format_table(["image"], [[Path("=1.png")]])))
    assert Path(path).samefile("=1.png")
