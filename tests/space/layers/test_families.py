"""Chains made by hand, as wide as bounds allow."""

from darts_lite.derivation.budget import WithinBudget
from darts_lite.space.groups import Choices
from darts_lite.space.layers.chain import Chain
from darts_lite.space.layers.families import scale_families
from darts_lite.space.layers.layer_space import LayerSpace

SPACE = LayerSpace(
    stages=(2, 1), placements=("stem 1",), expansions=(0, 2), kernels=(3, 5), heads=(1, 3)
)
RULE = WithinBudget(parameters=2000).with_data(1, 10, 28)


def admits(choices: Choices) -> bool:
    return RULE.admits(SPACE, SPACE.build(choices))


def test_they_are_even_and_as_wide_as_the_bounds_allow() -> None:
    made = [*scale_families(SPACE, admits)]
    # Two families with two heads, and one with one; two kernels, two depths, three growths.
    assert len(made) == 5 * 2 * 2 * 3
    known = ("separable", "separable residual", "inverted residual")
    assert {each.family for each in made} == {*known, *(f"{name}, head 3x3" for name in known[:2])}
    assert {each.idea for each in made} == {
        f"{kernel}x{kernel}, {blocks} blocks" for kernel in (3, 5) for blocks in (2, 3)
    }
    for each in made:
        chain = SPACE.build(each.choices)
        assert isinstance(chain, Chain) and admits(each.choices)
        assert len({block.kernel for block in (chain.stem, *chain.blocks)}) == 1
        assert len({block.expansion for block in chain.blocks}) == 1
        widths = [chain.stem_width, *(block.width for block in chain.blocks)]
        assert widths == sorted(widths)
        assert len(chain.blocks) == int(each.idea[5])
        assert RULE.use(SPACE, chain)[0] > 0.5
        assert each.family.endswith("head 3x3") == (chain.head == 3)


def test_bounds_that_nothing_fulfils_leave_none() -> None:
    assert [*scale_families(SPACE, lambda choices: False)] == []


def test_without_bounds_they_are_as_wide_as_the_space() -> None:
    widest = [SPACE.build(each.choices) for each in scale_families(SPACE, lambda choices: True)]
    assert {chain.blocks[-1].width for chain in widest} == {64}


def test_a_space_without_their_blocks_has_none() -> None:
    other = LayerSpace(expansions=(1,), stages=(2,), placements=("stem",))
    assert [*scale_families(other, lambda choices: True)] == []


def test_they_stand_as_the_space_lets_blocks_stand() -> None:
    for links in (("plain",), ("off", "plain"), ("residual",)):
        space = LayerSpace(stages=(2, 2), placements=("stem 1",), links=links)
        made = [space.build(each.choices) for each in space.scale_families(lambda _: True)]
        assert made
        for each in made:
            assert len(each.blocks) == 4 or "off" in links
            assert links == ("residual",) or not any(block.residual for block in each.blocks)


def test_full_convolutions_stand_early_or_everywhere() -> None:
    space = LayerSpace(
        stages=(2, 2), placements=("stem",), expansions=("full", 0), kernels=(3,), heads=(1,)
    )
    full = {}
    for each in scale_families(space, lambda choices: True):
        chain = space.build(each.choices)
        assert isinstance(chain, Chain)
        full[each.family] = chain.blocks[0].full, chain.blocks[-1].full
    assert full["full"] == full["full residual"] == (True, True)
    assert full["full, then separable"] == (True, False)
    assert full["separable"] == (False, False)


def test_widths_keep_their_proportions() -> None:
    (parent, *_) = scale_families(SPACE, admits)
    wide = {**parent.choices, "width": ((("48", 0),), (("24", 0),)), "stem_width": ((("12", 0),),)}
    fitted = SPACE.build(SPACE.fit_sizes(wide, admits))
    assert isinstance(fitted, Chain) and RULE.admits(SPACE, fitted)
    widths = fitted.stem_width, fitted.blocks[0].width, fitted.blocks[-1].width
    assert widths[0] < widths[2] < widths[1] < 48
    assert max(RULE.use(SPACE, fitted)) > 0.7
    assert SPACE.fit_sizes(wide, lambda choices: False) == wide
