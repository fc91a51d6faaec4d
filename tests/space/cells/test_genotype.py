"""Genotype texts: all their spellings are read, and nothing in them is executed."""

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
