"""Draws the cells of an architecture with the sizes of their maps."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from darts_lite.networks.cells.measuring import CellShapes, Shape, trace_shapes
from darts_lite.plots.graphs import draw_graphs, make_graph
from darts_lite.plots.labels import format_map
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cost_tables import Images

MOST_SIZES = 3  # different sizes of cells of one kind that are told


def draw_cells(architecture: Architecture, header: Sequence[str], images: Images) -> Figure:
    """Draws cells with the channels and sides of all their maps, for images of one size.

    Raises ValueError if an operation is unknown.
    """
    stem, shapes = trace_shapes(architecture, images)
    frame = architecture.skeleton
    whole = (
        f"image {format_map(images.channels, images.side)}, stem {frame.stem} "
        f"{format_map(*stem)}, {frame.cells} cells, mean, linear, {images.classes} classes"
    )
    graphs = []
    for kind, diagram in architecture.diagrams.items():
        cells = [number for number, cell in enumerate(shapes) if cell.kind == kind]
        sizes = [*dict.fromkeys(shapes[number] for number in cells)]
        below = list_sizes(sizes)
        plural = "s" * (len(cells) > 1)
        told = f"cell{plural} {name_ranges([number + 1 for number in cells])} of {frame.cells}"
        if len(sizes) > 1:
            told += "; below each state the shapes of its maps, in the order of these cells"
        graphs.append(make_graph(diagram.title, [told], diagram, below))
    return draw_graphs(graphs, [*header, whole, tell_states(frame.inputs)])


def tell_states(inputs: int) -> str:
    """Returns what the names of the states of a cell stand for."""
    before = "$c_{k-1}$: output of the cell before"
    if inputs == 2:
        before += ";  $c_{k-2}$: of the one before that"
    return f"{before};  0, 1, ...: nodes, each the sum of its arrows;  $c_{{k}}$: output"


def list_sizes(sizes: Sequence[CellShapes]) -> list[list[str]]:
    """Returns the shapes of each state, and of the output last, one line for each size."""
    every: list[list[Shape]] = [[*cell.states, cell.output] for cell in sizes[:MOST_SIZES]]
    lines = [[format_map(*shape) for shape in state] for state in zip(*every, strict=True)]
    return [line + ["..."] * (len(sizes) > MOST_SIZES) for line in lines]


def name_ranges(numbers: Sequence[int]) -> str:
    """Returns ascending numbers in words: ``1 to 3, 5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
