"""Drawings of answers."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from figure_helpers import boxes, check_room
from run_helpers import some_digits

from darts_lite.plots.predictions import Answered, draw_answers, draw_confusion, worst


def answers(count: int) -> list[Answered]:
    images, labels = some_digits()
    return [
        Answered(images[i, None], int(labels[i]), (i // 2) % 10, float(i % 7), 0.625)
        for i in range(count)
    ]


def test_the_wrong_ones_with_the_largest_losses_come_first() -> None:
    found = worst(answers(30), 5)
    assert [answer.loss for answer in found] == [6.0] * 3 + [5.0] * 2
    assert found[0] is not found[1] and worst(answers(3), 5)[0].loss == 2.0
    right = [answer._replace(predicted=answer.label, loss=9.0) for answer in answers(30)]
    again = worst([*right, *answers(30)], 5)
    assert [(a.label, a.loss) for a in again] == [(a.label, a.loss) for a in found]
    assert worst(right, 5) == []


@pytest.mark.parametrize("count", [1, 13, 100])
def test_every_answer_has_its_class_and_what_it_was_taken_for_below_it(count: int) -> None:
    figure = draw_answers(answers(count), "Some", None)
    (axes,) = figure.axes
    assert len(axes.images) == count
    *told, title = (text.get_text() for text in axes.texts)
    assert told == [f"{a.label} \N{RIGHTWARDS ARROW} {a.predicted}\n62 %" for a in answers(count)]
    assert title == "Some"
    check_room(figure)
    for image, (_, box) in zip(axes.images, boxes(figure), strict=False):
        assert box.y1 <= image.get_window_extent().y0


def test_no_wrong_answer_is_told_as_such(tmp_path: Path) -> None:
    figure = draw_answers([], "All 1,000 answers are right", None)
    figure.savefig(tmp_path / "none.png")
    check_room(figure)


def test_colours_are_drawn_in_colour() -> None:
    figure = draw_answers([Answered(torch.rand(3, 8, 8), 1, 1, 0.1, 0.9)], "", None)
    assert figure.axes[0].images[0].get_array().shape == (8, 8, 3)  # type: ignore[union-attr]


def test_signals_are_drawn_as_lines() -> None:
    rows = some_digits()[0][:2, :, None]  # 28 channels of 28 values
    figure = draw_answers([Answered(row, 1, 2, 3.0, 0.5) for row in rows], "Some", None)
    (axes,) = figure.axes
    assert not axes.images and len(axes.lines) == 2 * 28
    heights = np.concatenate([line.get_ydata() for line in axes.lines[:28]])
    assert 0.3 < heights.max() - heights.min() < 1


def test_images_of_other_channels_show_their_mean() -> None:
    stacked = torch.stack([*some_digits()[0][:5]])[:, :14]
    (axes,) = draw_answers([Answered(stacked, 1, 2, 3.0, 0.5)], "Some", None).axes
    assert np.asarray(axes.images[0].get_array()).shape == (14, 28, 3)


def test_confusions_are_counted() -> None:
    figure = draw_confusion(torch.tensor([[8, 2], [0, 10]]))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["8", "2", "10"]
    none_right = draw_confusion(torch.tensor([[0, 2], [0, 10]])).axes[0].texts
    assert [text.get_text() for text in none_right] == ["0", "2", "10"]
    assert axes.get_title(loc="left").startswith("2 of 20 are wrong")
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    [image] = axes.images
    shades = image.to_rgba(np.asarray(image.get_array()))[..., :3]  # (2, 2, 3)
    assert shades[0, 1].mean() > 0.4  # black is read on the darkest error
    assert [text.get_fontweight() for text in axes.texts] == ["bold", "normal", "bold"]


@pytest.mark.slow
def test_names_and_counts_of_many_classes_have_room() -> None:
    classes = 100
    counts = torch.full((classes, classes), 12) + torch.eye(classes, dtype=torch.long) * 900
    figure = draw_confusion(counts, [f"a class with number {n}" for n in range(classes)])
    found = boxes(figure)
    assert sum(text == "12" for text, _ in found) == classes * (classes - 1)
    names = [box for text, box in found if text.startswith("a class")]
    assert len(names) == 2 * classes
    for group in (names[:classes], names[classes:], [b for text, b in found if text == "912"]):
        assert not any(one.overlaps(other) for one, other in combinations(group, 2))


def test_many_classes_are_drawn_without_numbers_and_no_larger() -> None:
    figure = draw_confusion(torch.eye(1000))
    assert not figure.axes[0].texts
    assert figure.get_size_inches().max() < 12


@pytest.mark.parametrize("classes", [1, 2, 3, 20])
@pytest.mark.parametrize("name", ["W" * 30, "a"])
def test_there_is_room_for_every_name(classes: int, name: str, tmp_path: Path) -> None:
    figure = draw_confusion(torch.eye(classes), [name] * classes)
    figure.savefig(tmp_path / "confusion.png")  # matplotlib warns where it finds no room
    axes = figure.axes[0].get_window_extent()
    labels = figure.axes[0].get_yticklabels()
    assert axes.width > 30 and min(label.get_window_extent().x0 for label in labels) > 0


NAMES = ["n02085620-chihuahua_dogs", "golden_retriever", "$1_to_$5", "over_$5"]


def test_names_of_classes_are_text_and_can_be_told_apart(tmp_path: Path) -> None:
    figure = draw_confusion(torch.eye(4), NAMES)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == ["n02085620-chihuahua\N{HORIZONTAL ELLIPSIS}", *NAMES[1:]]
    figure.savefig(tmp_path / "confusion.png")
    image = some_digits()[0][0, None]
    wrong = [Answered(image, 2, 3, 1.0, 0.5), Answered(image, 1, 0, 1.0, 1.0)]
    figure = draw_answers(wrong, "", NAMES)
    below = [text.get_text() for text in figure.axes[0].texts][:2]
    arrow, dots = "\N{RIGHTWARDS ARROW}", "\N{HORIZONTAL ELLIPSIS}"
    assert below == [
        f"$1_to_$5\n{arrow} over_$5\n50 %",
        f"golden_ret{dots}\n{arrow} n02085620-{dots}\n100 %",
    ]
    figure.savefig(tmp_path / "worst.png")
