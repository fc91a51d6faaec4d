"""What stands where in a figure."""

from collections.abc import Sequence
from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """Texts and their extents in pixels, with the frame where there is one."""
    FigureCanvasAgg(figure).draw()
    found = []
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() and text.get_visible():
            frame = text.get_bbox_patch()
            found.append((text.get_text(), (frame or text).get_window_extent()))
    return found


def texts(figure: Figure) -> Sequence[str]:
    """All texts that are seen."""
    return [text for text, _ in boxes(figure)]


def check_room(figure: Figure) -> None:
    """Every text is inside the figure, and none touches another one."""
    found = boxes(figure)
    for (name, box), (other_name, other) in combinations(found, 2):
        assert not box.overlaps(other), f"{name} overlaps {other_name}"
    for name, box in found:
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1), name
        assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1), name
