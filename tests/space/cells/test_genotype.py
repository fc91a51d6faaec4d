"""Genotype texts: all their spellings are read, and nothing in them is executed."""

import json
from pathlib import Path

import pytest
from run_helpers import refusal

from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.skeleton_settings import SkeletonSettings

V2_TEXT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
REDUCE = {"reduce": [["sep_conv_3x3", 0], ["max_pool_3x3", 1]]}
NESTED_TEXT = """
    DARTS = Genotype(
        reduce=[[('max_pool_3x3', 0), ('max_pool_3x3', 1)], [('skip_connect', 2)]],
        reduce_concat=range(2, 4),
        normal=[[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], [('dil_conv_5x5', 2)]],
        normal_concat=(3,),
    )
"""


def test_published_cells() -> None:
    assert set(ARCHITECTURES) == {"DARTS_V1", "DARTS_V2", "PC_DARTS_cifar", "PC_DARTS_image"}
    v2 = Architecture.of("DARTS_V2")
    assert v2.genotype() == V2_TEXT
    assert v2.skeleton == SkeletonSettings(channels=36, cells=20, stem="conv3x3")
    assert v2.space == "darts" and "1806.09055" in v2.found_by["source"]
    assert ARCHITECTURES["DARTS_V1"].cells["reduce"][3] == (
        ("skip_connect", 2),
        ("avg_pool_3x3", 0),
    )
    assert ARCHITECTURES["PC_DARTS_image"].cells["normal"][3] == (
        ("sep_conv_3x3", 1),
        ("dil_conv_5x5", 4),
    )


def test_the_spellings_of_a_genotype() -> None:
    flat = Architecture.of(f"\n  DARTS_V2 = {V2_TEXT}  ")
    assert flat.cells == ARCHITECTURES["DARTS_V2"].cells
    assert Architecture.of(V2_TEXT.replace("[2, 3, 4, 5]", "range(2, 6)")) == flat
    nested = Architecture.of(NESTED_TEXT)
    assert nested.cells["normal"][1] == (("dil_conv_5x5", 2),)
    assert nested.concat == {"normal": (3,), "reduce": (2, 3)}
    assert "reduce=[[('max_pool_3x3', 0), ('max_pool_3x3', 1)], [('skip" in nested.genotype()
    only_normal = Architecture.of("Genotype(normal=[('conv_1x1', 0), ('none', 1)])")
    assert only_normal.skeleton.kinds == ("normal",) and only_normal.concat == {"normal": (2,)}


@pytest.mark.parametrize(
    "before",
    [
        "2019-01-01 10:00:00,000 genotype = ",
        "03/12 10:00:01 PM genotype = ",
        "[2024-05-06 07:08:09][INFO] epoch 49 | genotype: ",
        "08/09 10:11:12 AM ",
        "best =\n",
    ],
)
def test_what_a_log_writes_before_a_genotype_is_left_out(before: str) -> None:
    assert Architecture.of(f"{before}{V2_TEXT}\n") == Architecture.of(V2_TEXT)
    assert Architecture.of(f"{before}{SHORT_DICTIONARY}") == Architecture.of(SHORT_TEXT)


SHORT_TEXT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('max_pool_3x3', 1)], normal_concat=[2], "
    "reduce=[('sep_conv_3x3', 0), ('max_pool_3x3', 1)], reduce_concat=[2])"
)
SHORT_DICTIONARY = (
    "{'normal': [(('sep_conv_3x3', 0, 0.31), ('max_pool_3x3', 1, 1))], 'normal_concat': [2], "
    "'reduce': [('sep_conv_3x3', 0, 0.2), ('max_pool_3x3', 1, 0.1),], 'reduce_concat': range(2, 3),"
    " 'connectN': None, 'connects': None}"
)
NNI_VALUES = {
    f"{kind}/{what}_2_{place}": value
    for kind in ("normal", "reduce")
    for place, edge in enumerate([("sep_conv_3x3", [0]), ("max_pool_3x3", 1)])
    for what, value in zip(("op", "input"), edge, strict=True)
}


@pytest.mark.parametrize(
    "given",
    [
        SHORT_DICTIONARY,
        SHORT_TEXT.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 0, 0.1234)"),
        json.dumps(NNI_VALUES, indent=2),
        json.dumps({"normal": [["sep_conv_3x3", 0], ["max_pool_3x3", 1]]} | REDUCE),
    ],
)
def test_dictionaries_and_weights_of_other_programs(given: str, tmp_path: Path) -> None:
    expected = Architecture.of(SHORT_TEXT)
    assert Architecture.of(given) == expected
    if given.startswith('{"'):  # JSON, which may stand in a file
        (tmp_path / "found.json").write_text(given)
        assert Architecture.of(tmp_path / "found.json") == expected
        assert Architecture.of(json.loads(given)) == expected


def test_a_string_of_nasbench201_in_a_log() -> None:
    string = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
    line = f"[2021-01-02 03:04:05] best : Structure(4 nodes with {string})"
    assert Architecture.of(line) == Architecture.of(string)


@pytest.mark.parametrize("name", ["sep_conv_7x7", "conv_7x1_1x7", "dua_sepc_3x3"])
def test_an_operation_that_is_unknown_here_is_told(name: str) -> None:
    told = refusal(SHORT_TEXT.replace("max_pool_3x3", name))
    assert f"cells.normal[0][1]: unknown operation '{name}'; choose from" in told
    assert "write a class for it, built by channels, stride and affine, and name it" in told


@pytest.mark.parametrize(
    "given",
    [
        "{'normal': {'sep_conv_3x3': 0.3, 'max_pool_3x3': 0.7}}",
        "{'normal': [[0.1, 0.2], [0.3, 0.4]]}",
        "{'alphas_normal': [[0.1]]}",
        "{'normal': [('sep_conv_3x3', 0, 'heavy'), ('sep_conv_3x3', 1, 0.5)]}",
        "{'normal': [('sep_conv_3x3', 0)], **{}}",
        "{'normal/op_2_0': 'sep_conv_3x3'}",
        "{'normal/op_x': 'sep_conv_3x3'}",
        "genotype = {'normal': [('sep_conv_3x3', 0), ('sep_conv_3x3', 1)]} or print(1)",
        f"{SHORT_TEXT}\n{SHORT_TEXT}",
        "|a~0|+|b~0|c~1| |a~0|+|b~0|c~1|",
    ],
)
def test_what_is_no_genotype_is_told_in_a_line(given: str) -> None:
    refusal(given)


@pytest.mark.parametrize(
    "text",
    [
        "Genotype(",
        "Genotype()",
        "Genotype(normal=5)",
        "Genotype(normal=[])",
        "Genotype(normal=[('sep_conv_3x3', 0)])",
        "Genotype(normal=[('sep_conv_3x3', 0), 3])",
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 9)])",
        "Genotype(normal=[('sep_conv_9x9', 0), ('sep_conv_3x3', 1)])",
        "Genotype(normal=[[('conv_1x1', 0)]], normal=[[('conv_1x1', 0)]])",
        "Genotype(normal=[[('conv_1x1', 0)]], normal_concat=range(2, 10**12))",
        "Genotype(normal=[[('conv_1x1', 0)]], normal_concat=range(2, 1000000000000))",
        "Genotype(normal=[[('conv_1x1', 0)]], normal_concat=range(2, 2))",
        "Genotype(normal=[[('conv_1x1', 0)]], normal_concat={2})",
        "Genotype(normal=[[('conv_1x1', 0)]], reduce_concat=[2])",
        "Genotype(normal=[[('conv_1x1', 0)]], other=1)",
        "Genotype(normal=[[('conv_1x1', 0)]], **{})",
        "Genotype([[('conv_1x1', 0)]], [2])",
        "Genotype(normal={[]: 1})",
        "Genotype(normal=open('file'))",
        "Genotype(normal=[('conv_1x1', x), ('conv_1x1', 0)])",
        "other.Genotype(normal=[[('conv_1x1', 0)]])",
        "a = b = Genotype(normal=[[('conv_1x1', 0)]])",
        "Genotype(normal=[[('conv_1x1', 0)]]); print(1)",
        "Genotype(normal=[[('conv_1x1', 0)]]) or print(1)",
        "Genotype(normal='\0')",
        "Genotype(normal=" + "[" * 5_000 + "]" * 5_000 + ")",
        "Genotype(normal=" + "-" * 15_000 + "1)",
        "Genotype(normal=" + "1+" * 9_000 + "1)",
        "Genotype(" + " " * 1_000_000 + ")",
    ],
    ids=lambda text: text[:70].replace("\0", "0"),
)
def test_malformed_genotypes(text: str) -> None:
    refusal(text)


def test_nothing_in_a_text_is_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    call = f"__import__('os').system('touch {trace}')"
    for text in (
        f"Genotype(normal={call})",
        f"Genotype(normal=[({call}, 0), ('conv_1x1', 1)])",
        f"Genotype(normal=[[('conv_1x1', 0)]], normal_concat=range(2, {call}))",
        f"{call} or Genotype(normal=[[('conv_1x1', 0)]])",
        f"Genotype(normal=[[('conv_1x1', 0)]], **{call})",
    ):
        refusal(text)
    assert not trace.exists()
