"""Draws which classes a net confuses, and the images on which it is most wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

DPI = 130
ROW = 10  # number of images side by side
MOST_NAMED = 20  # largest number of classes whose names and counts a confusion matrix shows
CHARACTER, CAPTION = 0.14, 1.9  # width in inches of a wide character, and of the title
LONGEST_NAME, LONGEST_ABOVE = 20, 11  # characters of a class in the matrix, and above an image


class Answered(NamedTuple):
    """A net's answer to one image."""

    image: Tensor  # (C, H, W)
    label: int
    predicted: int
    loss: float


def draw_confusion(counts: Tensor, names: Sequence[str] | None = None) -> Figure:
    """Draws a confusion matrix with its counts; squares with more wrong answers are darker.

    The counts are ``(classes, predictions)``; names of classes are by default their numbers.
    """
    classes = len(counts)
    wrong = counts.float().clone().fill_diagonal_(0)
    shown = min(classes, MOST_NAMED)
    labels = [_name_class(label, names, LONGEST_NAME) for label in range(classes)]
    room = CHARACTER * max(map(len, labels)) if classes <= MOST_NAMED else CHARACTER
    size = (1.0 + room + max(0.42 * shown, CAPTION), 1.0 + room + 0.36 * shown)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.imshow(wrong.numpy(), cmap="Reds", vmin=0, vmax=max(1.0, float(wrong.max())) * 1.4)
    if classes <= MOST_NAMED:
        for row, column in counts.nonzero().tolist():
            count = str(int(counts[row, column]))
            axes.text(column, row, count, size=7, ha="center", va="center")
        rotation = 0 if names is None else 90
        axes.set_xticks(range(classes), labels, rotation=rotation, parse_math=False)
        axes.set_yticks(range(classes), labels, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("class")
    right = int(counts.diagonal().sum())
    axes.set_title(f"{right:,} of {int(counts.sum()):,} are right", size=10, loc="left")
    return figure


def draw_answers(
    answers: Sequence[Answered], title: str, names: Sequence[str] | None = None
) -> Figure:
    """Draws images in rows, with their class and the wrong prediction above each.

    There must be at least one answer; names of classes are by default their numbers.
    """
    pictures = [_to_rgb(answer.image) for answer in answers]  # (H, W, 3) each
    height, width = pictures[0].shape[:2]
    gap = 0.4 * height  # room for the text above each image
    between = ", " if names is None else "\n"
    rows = -(-len(answers) // ROW)
    scale = 0.8 / width  # inches per pixel
    tall, wide = rows * (height + gap), ROW * 1.15 * width
    figure = Figure(figsize=(scale * wide, scale * tall + 0.4), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, scale * tall / (scale * tall + 0.4)))
    axes.set_xlim(0, wide)
    axes.set_ylim(tall, 0)
    axes.set_axis_off()
    for number, (answer, picture) in enumerate(zip(answers, pictures, strict=True)):
        left = (number % ROW) * 1.15 * width + 0.075 * width
        top = (number // ROW) * (height + gap) + gap
        axes.imshow(picture.numpy(), extent=(left, left + width, top + height, top), aspect="auto")
        wrong = answer.predicted != answer.label
        text = _name_class(answer.label, names, LONGEST_ABOVE)
        if wrong:
            text += f"{between}not {_name_class(answer.predicted, names, LONGEST_ABOVE)}"
        middle, above = left + width / 2, top - 0.06 * height
        label = axes.text(middle, above, text, size=7, ha="center", linespacing=1.0)
        label.set(parse_math=False, color="#b5182b" if wrong else "black")
    figure.suptitle(title, size=10, x=0.01, y=0.99, ha="left", va="top")
    return figure


def _name_class(label: int, names: Sequence[str] | None, most: int) -> str:
    name = names[label] if names else str(label)
    return name if len(name) <= most else f"{name[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _to_rgb(image: Tensor) -> Tensor:
    """Stretches values to 0..1, from black to white, ``(C, H, W)`` -> ``(H, W, 3)``."""
    image = image.float() - image.min()
    image = (image / image.max().clamp_min(1e-9)).permute(1, 2, 0)
    return image.expand(-1, -1, 3) if image.shape[2] == 1 else image


def worst(answers: Sequence[Answered], count: int) -> list[Answered]:
    """Returns the answers with the largest losses, largest first."""
    losses = torch.tensor([answer.loss for answer in answers])
    return [answers[int(i)] for i in losses.argsort(descending=True, stable=True)[:count]]
