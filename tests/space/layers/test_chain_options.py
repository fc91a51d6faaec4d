"""What may be chosen of a chain, and the chain that follows."""

from typing import Any

import pytest
from run_helpers import one_line

from darts_lite.space.layers.chain import RESIDUAL
from darts_lite.space.layers.chain_options import OFF, ChainOptions
from darts_lite.space.layers.layer_space import LayerSpace


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kernels": ()}, "kernels must be integers from 1 to 31"),
        ({"kernels": ("3",)}, "kernels must be integers from 1 to 31"),
        ({"widths": "48"}, "widths must be a list, got '48'"),
        ({"placements": 3}, "placements must be a list, got 3"),
        ({"kernels": (3, 4)}, "kernels must be odd, got 4"),
        ({"kernels": (3, 33)}, "kernels must be integers from 1 to 31"),
        ({"expansions": ("full", 0, 64)}, "expansions must be integers from 0 to 32"),
        ({"kernels": (5, 3)}, "kernels must rise"),
        ({"widths": (0, 4)}, "widths must be integers from 1 to 4096"),
        ({"expansions": (-1,)}, "expansions must be integers from 0 to 32"),
        ({"stages": (0, 2)}, "stages must be integers from 1 to 1000"),
        ({"links": ("off", "often")}, "unknown links 'often'; choose from off, plain, residual"),
        ({"placements": ("stem 4",)}, "unknown placements '4'; choose from half, stem, 1, 2, 3"),
        ({"placements": ()}, "must not be empty"),
    ],
)
def test_what_makes_no_space_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as caught:
        ChainOptions(**settings)
    one_line(caught, told)


def test_choices_make_a_chain() -> None:
    options = ChainOptions(
        stem_widths=(4,),
        stages=(2, 1),
        widths=(8, 16),
        links=("off", "residual"),
        placements=("half stem 2",),
    )
    places = {
        "placement": [0],
        "stem_kernel": [1],
        "stem_width": [0],
        "width": [0, 1],
        "kernel": [0, 1, 2],
        "expansion": [1, 3, 0],
        "head": [0],
        "link": [1],
    }
    made = options.build(options.name_options(places))
    assert made.genotype() == "half stem 5x5-4/2 3x3-8 e2.5x5-8+ full.7x7-16/2"
    off = options.build(options.name_options(places | {"link": [0], "head": [2]}))
    assert off.genotype() == "half stem 5x5-4/2 3x3-8 full.7x7-16/2 head 3x3"


def test_blocks_that_are_left_out_have_no_kernel() -> None:
    space = LayerSpace(stages=(2,), kernels=(3, 5), placements=("stem",))
    first = space.first_architecture().choices
    assert first["link"] == (((OFF, 0),),)
    kept = space.leave_out_vain(first)
    assert kept["kernel"] == ((("3", 0),), ()) and len(kept["width"]) == 1
    votes = space.votes(space.build(first))
    assert votes["kernel"].tolist() == [[1.0, 0.0], [0.5, 0.5]]
    stands = space.build({**first, "link": (((RESIDUAL, 0),),)})
    assert space.leave_out_vain(stands.choices) == stands.choices
