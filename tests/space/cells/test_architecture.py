"""Architectures: round trips, and one line for whatever is wrong with a file."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from run_helpers import refusal

from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.skeleton_settings import SkeletonSettings

UNEVEN = Architecture(
    cells={
        "normal": ((("none", 0),), (("conv_1x1", 2), ("conv_3x3", 1), ("my_ops.Mine", 0))),
        "reduce": ((("conv_3x3", 1), ("conv_3x3", 1)),),
    },
    concat={"normal": (0, 3)},
    skeleton=SkeletonSettings(channels=8, cells=3, reductions=(1,)),
    space="own",
    found_by={"algorithm": "darts", "seed": 3, "shares": [0.5, None]},
)
FEW = Architecture(
    {"normal": ((("conv_3x3", 0),), (("skip_connect", 1),))},
    skeleton=SkeletonSettings(channels=8, cells=1, reductions=(), wiring="residual"),
)
ALL = {**ARCHITECTURES, "uneven": UNEVEN, "one input, not all edges": FEW}


@pytest.mark.parametrize("architecture", ALL.values(), ids=ALL)
def test_round_trips(architecture: Architecture, tmp_path: Path) -> None:
    assert Architecture.of(architecture) is architecture
    assert Architecture.of(architecture.to_dict()) == architecture
    path = tmp_path / "new" / "architecture.json"
    architecture.save(path)
    assert Architecture.of(path) == Architecture.of(str(path)) == architecture
    assert json.loads(path.read_text()) == architecture.to_dict()
    read = Architecture.from_genotype(architecture.genotype(), architecture.skeleton)
    assert (read.cells, read.concat) == (architecture.cells, architecture.concat)


def test_saving_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "architecture.json"
    path.write_text("old")
    ARCHITECTURES["DARTS_V2"].save(path)
    assert list(tmp_path.iterdir()) == [path]
    lines = path.read_text().splitlines()
    assert '      [["sep_conv_3x3", 1], ["skip_connect", 0]],' in lines
    assert max(map(len, lines)) <= 100


def test_values_handed_out_or_in_are_not_shared() -> None:
    found_by: dict[str, Any] = {"steps": [1]}
    architecture = Architecture(
        UNEVEN.cells,
        {},
        skeleton=UNEVEN.skeleton,
        found_by=found_by,
    )
    found_by["steps"].append(2)
    architecture.to_dict()["found_by"]["steps"].append(3)
    assert architecture.found_by == {"steps": [1]}


def test_reading_as_text() -> None:
    lines = str(ARCHITECTURES["DARTS_V2"]).splitlines()
    assert lines[0].startswith("darts: 20 cells of 36 channels, reductions: 6, 13")
    assert lines[1] == "normal:     0 = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})"
    assert lines[4] == "            3 = skip_connect(c_{k-2}) + dil_conv_3x3(0)"
    assert lines[5] == "        c_{k} = concat(0, 1, 2, 3)"


def test_another_skeleton() -> None:
    assert UNEVEN.with_skeleton() == UNEVEN
    assert UNEVEN.with_skeleton(channels=64).skeleton == SkeletonSettings(64, 3, (1,))
    assert UNEVEN.with_skeleton(cells=3).skeleton.reductions == (1,)
    assert UNEVEN.with_skeleton(cells=6).skeleton == SkeletonSettings(8, 6)
    large = UNEVEN.with_skeleton(cells=6, reductions=[5], stem="conv3x3_stride2")
    assert large.skeleton == SkeletonSettings(8, 6, (5,), "conv3x3_stride2")
    assert large.cells == UNEVEN.cells and large.found_by == UNEVEN.found_by
    mistakes: list[dict[str, Any]] = [
        {"cells": 0},
        {"channels": True},
        {"reductions": [7]},
        {"stem": "none"},
    ]
    for wrong in mistakes:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            UNEVEN.with_skeleton(**wrong)


@pytest.mark.parametrize("cells", [{}, {"normal": UNEVEN.cells["normal"]}, {"reduce": ()}])
def test_every_kind_of_the_skeleton_needs_a_cell(cells: Any) -> None:
    with pytest.raises(ValueError, match="^cells"):
        Architecture(cells)


def test_a_skeleton_of_reductions_needs_no_normal_cell() -> None:
    skeleton = SkeletonSettings(cells=1, reductions=(0,))
    architecture = Architecture({"reduce": UNEVEN.cells["reduce"]}, skeleton=skeleton)
    assert Architecture.of(architecture.to_dict()) == architecture


DEEP: Any = []
for _ in range(5_000):
    DEEP = [DEEP]
MUTATIONS: list[tuple[str, Any, str]] = [
    ("format", "other", "'format'"),
    ("format", None, "'format'"),
    ("version", 2, "version: must be 1, got 2"),
    ("version", True, "version"),
    ("version", "1", "version"),
    ("space", 5, "space"),
    ("cells", None, "cells: expected keys"),
    ("cells", [], "cells: expected keys"),
    ("cells", {}, "cells: missing"),
    ("cells", DEEP, "cells"),
    ("cells.extra", [], "cells: unknown keys ['extra']"),
    ("cells.normal", [], "cells.normal: expected a list of at least one node"),
    ("cells.normal", "sep", "cells.normal: expected"),
    ("cells.normal", {"0": []}, "cells.normal: expected"),
    ("cells.normal", DEEP, "cells.normal[0][0]: expected [operation, source]"),
    ("cells.normal.1", [], "cells.normal[1]: expected a list of at least one edge"),
    ("cells.normal.1", None, "cells.normal[1]"),
    ("cells.normal.2.0", ["skip_connect"], "cells.normal[2][0]: expected [operation, source]"),
    ("cells.normal.2.0", "no", "cells.normal[2][0]: expected [operation, source]"),
    ("cells.normal.2.0.0", "sep_conv_9x9", "cells.normal[2][0]: unknown operation 'sep_conv_9x9'"),
    ("cells.normal.2.0.0", ["none"], "cells.normal[2][0]: unknown operation"),
    ("cells.normal.2.0.0", None, "cells.normal[2][0]: unknown operation"),
    ("cells.normal.2.0.0", "os.system('x')", "cells.normal[2][0]: unknown operation"),
    ("cells.normal.2.0.0", "a..b\n", "cells.normal[2][0]: unknown operation"),
    ("cells.reduce.0.1.1", 2, "cells.reduce[0][1]: source must be a whole number from 0 to 1"),
    ("cells.reduce.0.1.1", -1, "cells.reduce[0][1]: source"),
    ("cells.reduce.0.1.1", 1.0, "cells.reduce[0][1]: source"),
    ("cells.reduce.0.1.1", True, "cells.reduce[0][1]: source"),
    ("cells.reduce.0.1.1", "0", "cells.reduce[0][1]: source"),
    ("cells.reduce.0.1.1", float("nan"), "cells.reduce[0][1]: source"),
    ("concat", None, "concat: expected keys"),
    ("concat.other", [2], "concat: unknown keys"),
    ("concat.normal", [], "concat.normal: expected a list of at least one state"),
    ("concat.normal", [2, 2], "concat.normal: states must differ"),
    ("concat.normal", [6], "concat.normal: state must be a whole number from 0 to 5, got 6"),
    ("concat.normal", ["2"], "concat.normal: state"),
    ("skeleton", None, "skeleton: expected keys"),
    ("skeleton", {}, "skeleton: missing"),
    ("skeleton.depth", 3, "skeleton: unknown keys ['depth']"),
    ("skeleton.stem", "conv5x5", "skeleton: unknown stem 'conv5x5'"),
    ("skeleton.stem", [], "skeleton: unknown stem []"),
    ("skeleton.channels", 0, "skeleton: channels must be a whole number from 1"),
    ("skeleton.channels", "36", "skeleton: channels"),
    ("skeleton.cells", 10**30, "skeleton: cells must be a whole number from 1 to 10000"),
    ("skeleton.cells", True, "skeleton: cells"),
    ("skeleton.reductions", 5, "skeleton: reductions must be a list"),
    ("skeleton.reductions", 0, "skeleton: reductions must be a list"),
    ("skeleton.reductions", False, "skeleton: reductions must be a list"),
    ("skeleton.reductions", "67", "skeleton: reductions must be a list"),
    ("skeleton.reductions", {}, "skeleton: reductions must be a list"),
    ("skeleton.reductions", [20], "skeleton: reductions name cell 20, but the cells are 0 to 19"),
    ("skeleton.reductions", [True], "skeleton: reductions name cell True"),
    ("found_by", [], "found_by: expected keys and values"),
    ("found_by", {"loss": float("inf")}, "found_by: must hold plain JSON values"),
    ("found_by", {"x": DEEP}, "found_by: must hold plain JSON values"),
    ("found_by", {"x": {1, 2}}, "found_by: must hold plain JSON values"),
    ("comment", "hello", "unknown keys ['comment']"),
]


@pytest.mark.parametrize(("where", "value", "message"), MUTATIONS)
def test_a_wrong_value_is_named_with_its_place(where: str, value: Any, message: str) -> None:
    given = ARCHITECTURES["DARTS_V2"].to_dict()
    *path, last = where.split(".")
    holder: Any = given
    for step in path:
        holder = holder[int(step) if isinstance(holder, list) else step]
    holder[int(last) if isinstance(holder, list) else last] = value
    assert message in refusal(given)


@pytest.mark.parametrize("key", ARCHITECTURES["DARTS_V2"].to_dict())
def test_no_key_may_be_missing(key: str) -> None:
    given = ARCHITECTURES["DARTS_V2"].to_dict()
    del given[key]
    assert key in refusal(given)


@pytest.mark.parametrize("given", [None, 3, [], [[]], {}, {1: 2}, b"x", {"format": []}])
def test_values_of_another_kind(given: Any) -> None:
    assert "darts_lite/architecture" in refusal(given)


def test_given_values_are_not_changed() -> None:
    given = UNEVEN.to_dict()
    before = copy.deepcopy(given)
    Architecture.of(given)
    assert given == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1 column 1"),
        (b"{\n  'format': 1}", "line 2 column 3"),
        (b"\xff\xfe\x00", "utf-8"),
        (b"PK\x03\x04\x00\x80", "utf-8"),
        (b"[" * 100_000, "recursion"),
        (b"null", "'format'"),
        (b"1" * 10_000, "is not an architecture file"),
        (ARCHITECTURES["DARTS_V2"].genotype().encode(), "line 1 column 1"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_files_of_another_kind(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_bytes(content)
    text = refusal(path)
    assert "wrong.json" in text and message in text


def test_a_file_says_its_name_and_the_place(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({**UNEVEN.to_dict(), "version": 7}), encoding="utf-8-sig")
    assert "wrong.json' is not an architecture file: version: must be 1, got 7" in refusal(path)


@pytest.mark.parametrize("name", ["DARTS_V3", "", "no/such.json", "x" * 5000, "line\nbreak"])
def test_a_name_that_is_neither_known_nor_a_file(name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Architecture.of(name)
    assert "DARTS_V2" in str(caught.value) and "\n" not in str(caught.value)


def test_other_paths_that_cannot_be_read(tmp_path: Path) -> None:
    assert "directory" in refusal(tmp_path)
    assert "null" in refusal("a\0b")


def test_an_operation_of_ones_own_is_not_imported_by_loading(tmp_path: Path) -> None:
    (tmp_path / "my_ops.py").write_text("raise SystemExit")
    UNEVEN.save(tmp_path / "architecture.json")
    assert Architecture.of(tmp_path / "architecture.json") == UNEVEN


@pytest.mark.parametrize(
    ("cell", "sees"),
    [
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|", True),
        ("|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|none~2|", False),
        ("|none~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|none~2|", False),
        ("|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|", True),
    ],
)
def test_whether_anything_of_the_image_reaches_the_output(cell: str, sees: bool) -> None:
    architecture = Architecture.of(cell)
    assert architecture.sees == sees
    torch.manual_seed(0)
    net = Net(architecture.with_skeleton(channels=4, cells=3), 1, 10).eval()
    first, second = torch.randn(2, 1, 1, 16, 16)
    assert torch.allclose(net(first), net(second)) != sees
