"""Strings and tables of NAS-Bench-201."""

from pathlib import Path

import pytest
from nasbench201 import SIZES, cell_of

from darts_lite.space.cells.nasbench201 import (
    COLUMNS,
    OPERATIONS,
    read_string,
    read_table,
    write_cell,
)

BEST = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)


def test_strings_are_read_and_written() -> None:
    cell = read_string(BEST)
    assert cell == (
        (("conv_3x3", 0),),
        (("conv_3x3", 0), ("conv_3x3", 1)),
        (("skip_connect", 0), ("conv_3x3", 1), ("conv_1x1", 2)),
    )
    assert write_cell(cell) == BEST
    assert cell_of((3, 3, 3, 1, 3, 2)) == BEST
    assert len(SIZES) == 6 and set(SIZES) == {len(OPERATIONS)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        BEST.replace("skip_connect", "sep_conv_9x9"),
        BEST.replace("~2", "~1"),
        BEST.replace("|nor_conv_3x3~1|+", "|+"),
        BEST.replace("|+", "|none~1|+", 1),
    ],
)
def test_a_slip_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        read_string(text)
    assert "\n" not in str(error.value)


def write_table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([",".join(("index", *COLUMNS)), *rows]) + "\n")
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    table = read_table(write_table(tmp_path / "t.csv", f"6111,{BEST},1,2,3,4,5,6.5"))
    result = table[BEST]
    assert result.index == 6111
    assert result.validation == {"cifar10": 1, "cifar100": 2, "imagenet16": 3}
    assert result.test["imagenet16"] == 6.5


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no table"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="lacks the columns"):
        read_table(tmp_path / "other.csv")
    for row in ("0", f"x,{BEST},1,2,3,4,5,6", f"1,{BEST},1,2", "1,|none~1|,1,2,3,4,5,6"):
        with pytest.raises(ValueError, match="line 3 is not a result"):
            read_table(write_table(tmp_path / "bad.csv", f"6111,{BEST},1,2,3,4,5,6.5", row))
