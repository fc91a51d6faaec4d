"""Drawings of architectures of any kind."""

import pytest
import torch
from figure_helpers import check_room, texts
from matplotlib import pyplot
from run_helpers import SMALL

from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.shares import draw_shares
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.genotype import label_edges
from darts_lite.space.cells.skeleton_settings import SkeletonSettings
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import Group
from darts_lite.space.layers.layer_space import LayerSpace
from darts_lite.space.protocol import AnyArchitecture

DIGITS = Images(1, 10, 28)


@pytest.mark.parametrize("found", [SMALL.first_architecture(), LayerSpace().first_architecture()])
def test_names_costs_and_sizes_are_told(found: AnyArchitecture) -> None:
    from darts_lite.derivation.costs import count_pass

    figure = draw_architecture(found, DIGITS, ["my $run$", "99.53 % right in the test"])
    check_room(figure)
    title, *others = texts(figure)
    assert title.startswith("my $run$,  99.53 % right in the test,  ")
    assert f"{count_pass(found, DIGITS).parameters:,} parameters" in title
    assert any("1 x 28 x 28" in text for text in others)
    assert not any("parameters" in text for text in texts(draw_architecture(found)))


def test_an_operation_that_is_not_known_here_has_no_sizes() -> None:
    cell = ((("my.ops.Own", 0),),)
    found = Architecture({"normal": cell}, skeleton=SkeletonSettings(cells=2, reductions=()))
    assert "Own" in texts(draw_architecture(found, DIGITS, ["mine"]))
    assert "mine" in texts(draw_architecture(found, DIGITS, ["mine"]))


def test_figures_are_not_registered_with_pyplot() -> None:
    before = pyplot.get_fignums()
    draw_architecture(ARCHITECTURES["DARTS_V1"])
    sets = (2, 3)
    edges = Group("reduce cell", label_edges(sets), ("a", "b"), sets)
    draw_shares(torch.full((5, 2), 0.5), edges, "even")
    assert pyplot.get_fignums() == before
