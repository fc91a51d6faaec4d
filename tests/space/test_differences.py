"""How two architectures differ, in words."""

from dataclasses import replace

from run_helpers import SMALL

from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.differences import describe_differences

FIRST = (
    (("conv_3x3", 0), ("skip_connect", 1)),
    (("max_pool_3x3", 1), ("conv_3x3", 2)),
)
SECOND = (
    (("conv_3x3", 0), ("max_pool_3x3", 1)),
    (("max_pool_3x3", 1), ("conv_3x3", 0)),
)


def of(normal: object) -> Architecture:
    return Architecture({"normal": normal, "reduce": FIRST}, {}, SMALL.skeleton)  # type: ignore[dict-item]


def test_each_difference_has_a_line() -> None:
    assert list(describe_differences(of(FIRST), of(SECOND))) == [
        "normal cell: 2 of 4 edges of A are in B with the same operation",
        "  node 0 reads c_{k-1} through skip_connect in A, max_pool_3x3 in B",
        "  node 1 reads 0 through conv_3x3 in A only",
        "  node 1 reads c_{k-2} through conv_3x3 in B only",
    ]


def test_the_order_of_edges_makes_no_difference() -> None:
    turned = tuple(edges[::-1] for edges in FIRST)
    assert list(describe_differences(of(FIRST), of(turned))) == []
    assert list(describe_differences(ARCHITECTURES["DARTS_V1"], ARCHITECTURES["DARTS_V1"])) == []


def test_skeletons_and_outputs_are_compared() -> None:
    first = of(FIRST)
    assert list(describe_differences(first, first.with_skeleton(channels=8))) == [
        "skeleton: channels is 4 in A, 8 in B"
    ]
    other = replace(first, concat={"normal": (3,), "reduce": (2, 3)})
    assert list(describe_differences(first, other)) == [
        "normal cell: the output is of 0 and 1 in A, of 1 in B"
    ]


def test_states_are_compared_by_their_names_where_the_wirings_differ() -> None:
    chain = ((("conv_3x3", 0),), (("skip_connect", 1),))
    one_input = replace(SMALL.skeleton, wiring="separable")
    first = Architecture({"normal": chain}, {}, one_input)
    of_two = (
        (("conv_3x3", 1), ("skip_connect", 0)),
        (("skip_connect", 2), ("conv_3x3", 1)),
    )
    second = Architecture({"normal": of_two}, {}, replace(SMALL.skeleton, reductions=()))
    told = list(describe_differences(first, second))[-3:]
    assert told == [
        "normal cell: 2 of 2 edges of A are in B with the same operation",
        "  node 0 reads c_{k-2} through skip_connect in B only",
        "  node 1 reads c_{k-1} through conv_3x3 in B only",
    ]
