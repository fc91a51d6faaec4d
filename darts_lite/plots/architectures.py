"""Draws architectures of any kind."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from darts_lite.derivation.costs import count_pass
from darts_lite.plots.cells import draw_cells
from darts_lite.plots.chains import draw_chain
from darts_lite.plots.choice_lists import draw_choices
from darts_lite.plots.graphs import Notes, draw_diagrams
from darts_lite.plots.labels import shorten_number
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain import Chain
from darts_lite.space.own.chosen_network import ChosenNetwork
from darts_lite.space.protocol import AnyArchitecture


def draw_architecture(
    architecture: AnyArchitecture,
    images: Images | None = None,
    captions: Sequence[str] = (),
    notes: Mapping[str, Notes] | None = None,
) -> Figure:
    """Draws an architecture; for known ``images`` with the sizes of its maps and its costs.

    ``captions``, such as a name and an accuracy, stand in the title. ``notes`` are texts behind the
    operations: name of a diagram -> nodes -> edges.
    """
    title = [*captions]
    if images is not None and notes is None:
        try:
            costs = count_pass(architecture, images)
        except ValueError:  # an operation of a module that is not imported
            images = None
        else:
            title.append(f"{shorten_number(costs.parameters)} parameters")
            title.append(f"{shorten_number(costs.multiply_adds)} multiply-adds of one pass")
    header = [",  ".join(title)] if title else []
    if notes is None and isinstance(architecture, Chain):
        return draw_chain(architecture, header, images)
    if notes is None and isinstance(architecture, ChosenNetwork):
        return draw_choices(architecture, header, images)
    if notes is None and images is not None and isinstance(architecture, Architecture):
        return draw_cells(architecture, header, images)
    return draw_diagrams(architecture.diagrams, header, notes)
