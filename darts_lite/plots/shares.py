"""Draws the shares of options: of one moment, of a few side by side, and of all one by one.

Squares are light and hold their numbers, so that both are read in black and white. Lengths are in
inches unless another unit is given.
"""

import io
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from darts_lite.plots.files import render
from darts_lite.plots.labels import shorten_name
from darts_lite.plots.run_history import StageHistory
from darts_lite.space.groups import Group
from darts_lite.storage.atomic_files import write_whole

DPI = 160
FONT = 9.0  # points
MARGIN = 0.2
LEAST_COLUMNS = 3  # options for which drawings of shares are wide enough to be seen
LETTER = 0.09  # mean width of a letter of a title
STEP_IN_TITLE = 15  # letters: ", step 10000000"
SHORT_NAME = 6  # letters of an option's name that has room without being turned
LIGHT = 2.0  # how far the darkest square is from the end of the scale, so that black is read on it
MOST_FRAMES = 6  # largest number of moments side by side in a film strip
WIDEST, SQUARE = 10.0, (0.3, 0.22)  # of a strip, and least width and height of a square in it
MILLISECONDS = 500  # for each picture of an animation; the last one stays five times as long
NO_SHARES = "this run has no shares of candidates to draw; give one that searched by gradients"


def draw_shares(shares: torch.Tensor | NDArray[Any], group: Group, title: str) -> Figure:
    """Draws a square per row and option, darker for a larger share, with its value.

    Lines separate the sets. The shares are ``(rows, options)``; ValueError if they are not.
    """
    values = torch.as_tensor(shares).detach().to("cpu", torch.float64).numpy()
    if values.shape != group.shape:
        raise ValueError(
            f"shares must have one row for each row of the group, {group.shape[0]}, and one column "
            f"for each option, {group.shape[1]}; got shape {values.shape}"
        )
    height, width = 0.3 * len(group.rows), 0.75 * max(LEAST_COLUMNS, len(group.options))
    names = [shorten_name(name) for name in group.options]
    upright = max(map(len, names)) <= SHORT_NAME
    left, below, above = 1.0, 0.3 if upright else 0.95, 0.4
    # As wide as the longest title of this group, so that all steps give pictures of one size.
    titled = max(len(title), len(group.title) + STEP_IN_TITLE) * LETTER
    full_width, full_height = max(left + width, titled) + MARGIN, below + height + above
    figure = Figure(figsize=(full_width, full_height), dpi=DPI)
    box = (left / full_width, below / full_height, width / full_width, height / full_height)
    axes = figure.add_axes(box)
    # At least 0.5, so that the even shares at the start of a search all look pale.
    darkest = max(0.5, float(np.nan_to_num(values).max()))
    _draw_squares(axes, values, group, darkest, "{:.2f}", 8)
    turned: dict[str, Any] = (
        {} if upright else {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    )
    axes.set_xticks(range(len(names)), names, **turned)
    axes.set_yticks(range(len(group.rows)), group.rows)
    axes.tick_params(length=0, labelsize=FONT)
    figure.text(MARGIN / full_width, 1 - 0.1 / full_height, title, size=11, va="top")
    return figure


def _draw_squares(
    axes: Axes, values: NDArray[Any], group: Group, darkest: float, form: str, size: float
) -> None:
    axes.imshow(values, cmap="Blues", vmin=0, vmax=LIGHT * darkest, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, form.format(value), size=size, ha="center", va="center")
    for end in [*accumulate(group.sets)][:-1]:
        axes.axhline(end - 0.5, color="black", linewidth=0.8)


def draw_film(search: StageHistory) -> Figure:
    """Draws the shares of all rows, in per cent, at a few moments of a search, from left to right.

    Raises ValueError if there are no shares.
    """
    if not (moments := search.with_shares):
        raise ValueError(NO_SHARES)
    groups = search.groups.values()
    options = max(len(group.options) for group in groups)
    most = max(2, min(MOST_FRAMES, int(WIDEST / (SQUARE[0] * options))))
    chosen = np.unique(np.linspace(0, len(moments) - 1, most).round().astype(int))
    frames = [moments[i] for i in chosen]
    heights = [SQUARE[1] * len(group.rows) for group in groups]
    alike = len({group.options for group in groups}) == 1
    longest = max(len(shorten_name(option)) for group in groups for option in group.options)
    below = 0.1 * longest * (1 if alike else len(groups))  # room for names of options
    above = 0.15 + 0.3 * len(groups)  # and for titles
    each = max(SQUARE[0] * options, 1.6)
    size = (1.4 + (each + 0.1) * len(frames), 0.8 + above + below + sum(heights))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = len(groups), len(frames)
    panels = figure.subplots(*grid, squeeze=False, sharex=alike, height_ratios=heights)
    darkest = max(float(f.shares[kind].max()) for f in frames for kind in search.groups)
    for row, (name, group) in enumerate(search.groups.items()):
        names = [shorten_name(option) for option in group.options]
        for axes, frame in zip(panels[row], frames, strict=True):
            shares = 100 * frame.shares[name].numpy()
            _draw_squares(axes, shares, group, max(1.0, 100 * darkest), "{:.0f}", 7)
            axes.set_yticks([])
            axes.set_xticks(range(len(names)), names, rotation=90, size=8)
            axes.tick_params(length=0)
        panels[row, 0].set_yticks(range(len(group.rows)), group.rows, size=8)
        title = group.title + "\n" * (row == 0)  # above the steps
        panels[row, 0].set_title(title, size=9, loc="left", weight="bold")
    figure.suptitle("share of each candidate, %", size=10)
    for axes, frame in zip(panels[0], frames, strict=True):
        axes.set_title(f"step {frame.step}", size=9, loc="right")
    return figure


def animate(search: StageHistory, path: str | Path) -> None:
    """Writes a GIF of the shares: one picture per moment, the groups one below the other.

    Raises ValueError if there are no shares; see also `write_whole`.
    """
    pictures = []
    for moment in search.with_shares:
        parts = []
        for name, group in search.groups.items():
            title = f"{group.title}, step {moment.step}"
            content = render(draw_shares(moment.shares[name], group, title), dpi=80)
            parts.append(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))  # (H, W, 3)
        widest = max(part.shape[1] for part in parts)
        margins = [((0, 0), (0, widest - part.shape[1]), (0, 0)) for part in parts]
        even = [np.pad(*each, constant_values=255) for each in zip(parts, margins, strict=True)]
        pictures.append(Image.fromarray(np.concatenate(even)))
    if not pictures:
        raise ValueError(NO_SHARES)
    durations = [MILLISECONDS] * (len(pictures) - 1) + [5 * MILLISECONDS]
    first, *others = [picture.quantize(64) for picture in pictures]
    with write_whole(path) as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
