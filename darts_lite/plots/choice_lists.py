"""Draws the choices in a network of the user's as a list: each option, and what it costs.

Lengths are in inches.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from darts_lite.derivation.costs import measure_costs
from darts_lite.plots.labels import cut, shorten_number
from darts_lite.space.cost_tables import Images
from darts_lite.space.groups import Group
from darts_lite.space.own.chosen_network import ChosenNetwork
from darts_lite.space.own.network_space import NetworkSpace

DPI = 160
MARGIN, HEADER, ROW, NAMES = 0.2, 0.25, 0.62, 1.9
BOX, GAP = (1.2, 0.32), 0.12
MOST_OPTIONS = 8  # in a row; the chosen one is always among them
MOST_MEASURED = 80  # options of all choices together whose costs are told
TAKEN, OPEN = "#1f4e9c", "#9a9a9a"
Costs = Mapping[tuple[str, str], str]
"""Choice and option -> what the net would cost with it, in words."""


def draw_choices(
    found: ChosenNetwork, header: Sequence[str], images: Images | None = None
) -> Figure:
    """Draws all choices that count, those taken in blue.

    For known images each option tells the parameters and multiply-adds of one pass that the net
    would have with it alone changed.
    """
    groups = {row: group for group in found.groups.values() for row in group.rows}
    shown = {name: _select(groups[name], option) for name, option in found.chosen.items()}
    costs = {} if images is None else _tell_costs(found, shown, images)
    lines = [*header] or [found.network]
    lines += ["below each option: parameters, multiply-adds of the net with it"] if costs else []
    width = 2 * MARGIN + NAMES + max(map(len, shown.values())) * (BOX[0] + GAP)
    height = 2 * MARGIN + HEADER * len(lines) + ROW * len(shown)
    width = max(width, 6.5)
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    for number, line in enumerate(lines):
        top = height - MARGIN - HEADER * number
        weight = "bold" if number == 0 else "normal"
        axes.text(MARGIN, top, cut(line, 110), va="top", size=9, weight=weight, parse_math=False)
    for number, (name, options) in enumerate(shown.items()):
        middle = height - MARGIN - HEADER * len(lines) - ROW * (number + 0.4)
        axes.text(MARGIN, middle, cut(name, 24), va="center", size=9, parse_math=False)
        _draw_options(axes, middle, name, options, found.chosen[name], costs)
    return figure


def _select(group: Group, chosen: str) -> list[str]:
    """Returns the options of a row that are drawn."""
    options = [*group.options]
    if len(options) <= MOST_OPTIONS:
        return options
    start = min(max(0, options.index(chosen) - MOST_OPTIONS // 2), len(options) - MOST_OPTIONS)
    return options[start : start + MOST_OPTIONS]


def _draw_options(
    axes: Axes, middle: float, name: str, options: Sequence[str], chosen: str, costs: Costs
) -> None:
    for place, option in enumerate(options):
        left, taken = MARGIN + NAMES + place * (BOX[0] + GAP), option == chosen
        corner, colour = (left, middle - BOX[1] / 2), TAKEN if taken else OPEN
        axes.add_patch(
            FancyBboxPatch(
                corner,
                *BOX,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=TAKEN if taken else "white",
                edgecolor=colour,
                linestyle="-" if taken else "--",
            )
        )
        label = cut(option, 14)
        style: dict[str, Any] = (
            {"color": "white", "weight": "bold"} if taken else {"color": "black"}
        )
        x = left + BOX[0] / 2
        axes.text(x, middle, label, ha="center", va="center", size=8, parse_math=False, **style)
        told = costs.get((name, option), "")
        axes.text(x, corner[1] - 0.03, told, ha="center", va="top", size=6, color="#444444")


def _tell_costs(found: ChosenNetwork, shown: Mapping[str, Sequence[str]], images: Images) -> Costs:
    """Returns what the net would cost with each option; nothing if that is not known here."""
    if sum(map(len, shown.values())) > MOST_MEASURED:
        return {}
    space = NetworkSpace(found.network, dict(found.settings)).with_data(*images)
    try:
        measured = [measure_costs(space, name, images) for name in ("parameters", "multiply_adds")]
        groups = space.groups
    except ValueError:  # the network's module is not imported
        return {}
    told = {}
    for name, options in shown.items():
        (group,) = (key for key, one in groups.items() if name in one.rows)
        if groups[group].kept is not None:  # another path would have to go
            continue
        row = groups[group].rows.index(name)
        for option in options:
            sets = [*found.choices[group]]
            sets[row] = ((option, 0),)
            net = space.build({**found.choices, group: tuple(sets)})
            costs = (shorten_number(round(cost.of(net))) for cost in measured)
            told[name, option] = ", ".join(costs)
    return told
