"""Drawings of chains: every label is there, inside the figure, and collides with no other."""

from itertools import combinations
from random import Random

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from darts_lite.plots.architectures import draw_architecture
from darts_lite.plots.chains import draw_chain
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import random_point
from darts_lite.space.layers.chain import Block, Chain
from darts_lite.space.layers.layer_space import LayerSpace


def labels(figure: Figure) -> list[tuple[str, Bbox]]:
    """Texts and their extents in pixels."""
    FigureCanvasAgg(figure).draw()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    return [(text.get_text(), text.get_window_extent()) for text in texts]


@pytest.mark.parametrize("images", [None, Images(1, 10, 28), Images(3, 1000, 1024)])
@pytest.mark.parametrize("seed", range(4))
def test_labels_collide_with_none(seed: int, images: Images | None) -> None:
    space = LayerSpace(widths=(8, 4096), expansions=("full", 0, 4))
    chain = space.build(space.architecture(random_point(space.sizes, Random(seed))).choices)
    found = labels(figure := draw_chain(chain, [], images))
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in found:
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text
    for (first, box), (second, other) in combinations(found, 2):
        assert not (box.overlaps(other) and first.strip() and second.strip()), (first, second)


def test_costs_are_told() -> None:
    chain = Chain(
        5, 12, 2, (Block(5, 12, residual=True), Block(3, 16, 2, 2), Block(3, 8, full=True))
    )
    texts = [text for text, _ in labels(draw_architecture(chain, images=Images(1, 10, 28)))]
    steps = [*chain.steps(Images(1, 10, 28))]
    assert texts.count("1x1, x2") == 1 and texts.count("+ what enters") == 1
    assert f"{sum(step.parameters for step in steps):,} parameters" in texts[0]
    assert f"{sum(step.multiply_adds for step in steps):,} multiply-adds of one pass" in texts[0]
    assert texts.count("3x3") == 1 and texts.count("depthwise 5x5") == 1
    assert "12 x 14 x 14" in texts and "16 x 7 x 7" in texts
    assert not any("parameters" in text for text, _ in labels(draw_architecture(chain)))
