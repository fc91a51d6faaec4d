"""Drawings of what a net answers: which classes it confuses, and where it is most wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

DPI = 130
ROW = 10
"""Images side by side."""
MOST_NAMED = 20
"""Classes whose names and numbers stand in a drawing of confusions."""
LONGEST_NAME, LONGEST_ABOVE = 20, 11
"""Characters of the name of a class, beside confusions and above an image."""


class Answered(NamedTuple):
    """A net's answer to one image."""

    image: Tensor  # (C, H, W)
    label: int
    predicted: int
    loss: float


def draw_confusion(counts: Tensor, names: Sequence[str] | None = None) -> Figure:
    """A square per class and prediction, with its number of images, darker where most are wrong.

    Args:
        counts: ``(classes, predictions)``.
        names: Of the classes; their numbers when not given.
    """
    classes = len(counts)
    wrong = counts.float().clone().fill_diagonal_(0)
    told_apart = min(classes, MOST_NAMED)
    figure = Figure(figsize=(1.3 + 0.42 * told_apart, 1.1 + 0.36 * told_apart), dpi=DPI)
    axes = figure.subplots()
    axes.imshow(wrong.numpy(), cmap="Reds", vmin=0, vmax=max(1.0, float(wrong.max())) * 1.4)
    if classes <= MOST_NAMED:
        for row in range(classes):
            for column in range(classes):
                if (count := int(counts[row, column])) > 0:
                    axes.text(column, row, str(count), size=7, ha="center", va="center")
        told = [_name(label, names, LONGEST_NAME) for label in range(classes)]
        turned = 0 if names is None else 90
        axes.set_xticks(range(classes), told, rotation=turned, parse_math=False)
        axes.set_yticks(range(classes), told, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("class")
    right = int(counts.diagonal().sum())
    axes.set_title(f"{right:,} of {int(counts.sum()):,} are right", size=10, loc="left")
    figure.tight_layout()
    return figure


def draw_answers(
    answers: Sequence[Answered], title: str, names: Sequence[str] | None = None
) -> Figure:
    """Images with their class and what was predicted instead, in rows.

    Args:
        answers: At least one.
        title: Stands above.
        names: Of the classes; their numbers when not given.
    """
    pictures = [_shown(answer.image) for answer in answers]  # (H, W, 3) each
    height, width = pictures[0].shape[:2]
    gap = 0.4 * height  # for the words above each
    between = ", " if names is None else "\n"
    rows = -(-len(answers) // ROW)
    scale = 0.8 / width  # inches of a pixel
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
        told = _name(answer.label, names, LONGEST_ABOVE)
        told += f"{between}not {_name(answer.predicted, names, LONGEST_ABOVE)}" if wrong else ""
        axes.text(
            *(left + width / 2, top - 0.06 * height, told),
            size=7,
            ha="center",
            parse_math=False,
            linespacing=1.0,
            color="#b5182b" if wrong else "black",
        )
    figure.suptitle(title, size=10, x=0.01, y=0.99, ha="left", va="top")
    return figure


def _name(label: int, names: Sequence[str] | None, most: int) -> str:
    name = names[label] if names else str(label)
    return name if len(name) <= most else f"{name[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _shown(image: Tensor) -> Tensor:
    """From black to white, ``(C, H, W)`` -> ``(H, W, 3)``."""
    image = image.float() - image.min()
    image = (image / image.max().clamp_min(1e-9)).permute(1, 2, 0)
    return image.expand(-1, -1, 3) if image.shape[2] == 1 else image


def worst(answers: Sequence[Answered], count: int) -> list[Answered]:
    """Those with the largest losses, largest first."""
    losses = torch.tensor([answer.loss for answer in answers])
    return [answers[int(i)] for i in losses.argsort(descending=True, stable=True)[:count]]
