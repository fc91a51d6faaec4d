"""Draws which classes a net confuses, and the images on which it is most wrong.

Lengths are in inches unless another unit is given.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from darts_lite.plots.labels import cut

DPI = 130
ROW, LEAST_ROW = 10, 5  # largest and least number of images side by side
CELL, LINE, TITLE = 0.9, 0.16, 0.45  # side of an image with its gap, height of a line of text
INSIDE = 0.86  # share of the gap that an image fills
MOST_COUNTED = 100
"""Largest number of classes whose names and counts a confusion matrix shows."""
CHARACTER = 0.09  # mean width of a character of 8 points
LONGEST_NAME, LONGEST_BELOW = 20, 11  # characters of a class in the matrix, and below an image
WIDEST_MATRIX = 9.0  # of classes without counts
ARROW = "\N{RIGHTWARDS ARROW}"


class Answered(NamedTuple):
    """A net's answer to one image."""

    image: Tensor  # (C, H, W)
    label: int
    predicted: int
    loss: float
    probability: float  # of the predicted class, from 0 to 1


def draw_confusion(counts: Tensor, names: Sequence[str] | None = None) -> Figure:
    """Draws a confusion matrix with its counts; squares with more wrong answers are darker.

    The counts are ``(classes, predictions)``; names of classes are by default their numbers. Only
    errors are coloured, on a scale of their own; right answers stand in frames on white.
    """
    classes, counted = len(counts), len(counts) <= MOST_COUNTED
    wrong = counts.float().clone().fill_diagonal_(0)
    labels = [cut(names[n] if names else str(n), LONGEST_NAME) for n in range(classes)]
    # Of a square; smaller ones for many classes, of which each must still hold its count.
    longest = len(str(int(counts.max()))) if classes else 1
    square = max(0.4 if classes <= 20 else 0.24, 0.075 * longest) if counted else 0.0
    side = square * classes if counted else WIDEST_MATRIX
    size = 8 if classes <= 20 else 6
    room = CHARACTER * max(map(len, labels)) if counted else 3 * CHARACTER
    figure = Figure(
        figsize=(max(side + room + 0.8, 4.6), side + room + 1.1), dpi=DPI, layout="constrained"
    )
    axes = figure.subplots()
    largest = max(1.0, float(wrong.max()))
    # Black is read on the darkest square, which is far from the end of the scale.
    seen = wrong.where(wrong > 0, torch.nan)  # white where there are none
    axes.imshow(seen.numpy(), cmap="Oranges", vmin=0, vmax=2 * largest)
    if counted:
        shown = (counts > 0) | torch.eye(classes, dtype=torch.bool)
        for row, column in shown.nonzero().tolist():
            weight = "bold" if row == column else "normal"
            count = str(int(counts[row, column]))
            axes.text(column, row, count, size=size, ha="center", va="center", weight=weight)
        for n in range(classes):
            axes.add_patch(Rectangle((n - 0.5, n - 0.5), 1, 1, fill=False, ec="black", lw=0.8))
        turned = max(map(len, labels)) > 2
        style: dict[str, Any] = {"size": size, "parse_math": False}
        axes.set_xticks(range(classes), labels, rotation=90 if turned else 0, **style)
        axes.set_yticks(range(classes), labels, **style)
        axes.set_xticks([n - 0.5 for n in range(1, classes)], minor=True)
        axes.set_yticks([n - 0.5 for n in range(1, classes)], minor=True)
        axes.grid(which="minor", color="#d5d5d5", linewidth=0.4)
        axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    right, asked = int(counts.diagonal().sum()), int(counts.sum())
    title = f"{asked - right:,} of {asked:,} are wrong\ncoloured: errors; in frames: right"
    axes.set_title(title, size=9, loc="left")
    return figure


def draw_answers(answers: Sequence[Answered], title: str, names: Sequence[str] | None) -> Figure:
    """Draws images in rows; below each its class, what it was taken for, and how surely.

    Names of classes are by default their numbers. Without answers there is only the title.
    """
    lines = 2 if names is None else 3
    across = min(ROW, max(LEAST_ROW, len(answers)))
    rows, high = -(-len(answers) // ROW), CELL + LINE * lines
    wide, tall = CELL * across, TITLE + high * rows
    figure = Figure(figsize=(wide, tall), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(tall, 0))
    axes.set_axis_off()
    edge = CELL * (1 - INSIDE) / 2
    for number, answer in enumerate(answers):
        left, top = CELL * (number % ROW) + edge, TITLE + high * (number // ROW)
        right, bottom = left + CELL * INSIDE, top + CELL * INSIDE
        if answer.image.shape[1] == 1 < answer.image.shape[2]:
            _draw_signal(axes, answer.image, (left, right, bottom, top))
        else:
            shown = _to_rgb(answer.image).numpy()
            axes.imshow(shown, extent=(left, right, bottom, top), aspect="auto")
        text = axes.text((left + right) / 2, bottom + 0.04, _tell(answer, names), size=8)
        text.set(parse_math=False, ha="center", va="top", linespacing=1.05)
    axes.set(xlim=(0, wide), ylim=(tall, 0))
    axes.text(edge, TITLE / 2, title, size=10, va="center", parse_math=False)
    return figure


def _tell(answer: Answered, names: Sequence[str] | None) -> str:
    """Returns ``5 \u2192 6`` and the probability; names stand below each other."""
    percent = f"{100 * answer.probability:.0f} %"
    if names is None:
        return f"{answer.label} {ARROW} {answer.predicted}\n{percent}"
    true, taken = (cut(names[n], LONGEST_BELOW) for n in (answer.label, answer.predicted))
    return f"{true}\n{ARROW} {taken}\n{percent}"


def _draw_signal(axes: Axes, signal: Tensor, extent: tuple[float, float, float, float]) -> None:
    """Draws the channels of a signal ``(C, 1, T)`` as lines over time, on one scale."""
    left, right, bottom, top = extent
    channels = signal.float().flatten(1)  # (C, T)
    heights = (channels - channels.min()) / (channels.max() - channels.min()).clamp_min(1e-9)
    times = torch.linspace(left, right, channels.shape[1])
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fc="white", ec="#d5d5d5"))
    axes.plot(times.numpy(), (bottom + heights * (top - bottom)).mT.numpy(), lw=0.7)


def _to_rgb(image: Tensor) -> Tensor:
    """Stretches values to 0..1, from black to white, ``(C, H, W)`` -> ``(H, W, 3)``.

    Of neither one channel nor three, the mean is shown.
    """
    image = image.float() if len(image) in (1, 3) else image.float().mean(dim=0, keepdim=True)
    image = image - image.min()
    image = (image / image.max().clamp_min(1e-9)).permute(1, 2, 0)
    return image.expand(-1, -1, 3) if image.shape[2] == 1 else image


def worst(answers: Sequence[Answered], count: int) -> list[Answered]:
    """Returns the wrong answers with the largest losses, largest first."""
    wrong = [answer for answer in answers if answer.predicted != answer.label]
    losses = torch.tensor([answer.loss for answer in wrong])
    return [wrong[int(i)] for i in losses.argsort(descending=True, stable=True)[:count]]
