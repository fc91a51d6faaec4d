"""Drawings of answers."""

from pathlib import Path

import pytest
import torch
from run_helpers import some_digits

from darts_lite.plots.predictions import Answered, draw_answers, draw_confusion, worst


def answers(count: int) -> list[Answered]:
    images, labels = some_digits()
    return [
        Answered(images[i, None], int(labels[i]), (i // 2) % 10, float(i % 7)) for i in range(count)
    ]


def test_the_largest_losses_come_first() -> None:
    found = worst(answers(30), 5)
    assert [answer.loss for answer in found] == [6.0] * 4 + [5.0]
    assert found[0] is not found[1] and worst(answers(3), 5)[0].loss == 2.0


def test_every_answer_is_drawn_with_its_class() -> None:
    (axes,) = draw_answers(answers(13), "Thirteen").axes
    assert len(axes.images) == 13
    expected = [
        f"{a.label}" if a.label == a.predicted else f"{a.label}, not {a.predicted}"
        for a in answers(13)
    ]
    assert [text.get_text() for text in axes.texts] == expected


def test_colours_are_drawn_in_colour() -> None:
    figure = draw_answers([Answered(torch.rand(3, 8, 8), 1, 1, 0.1)], "")
    assert figure.axes[0].images[0].get_array().shape == (8, 8, 3)  # type: ignore[union-attr]


def test_confusions_are_counted() -> None:
    figure = draw_confusion(torch.tensor([[8, 2], [0, 10]]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["8", "2", "10"]
    assert figure.axes[0].get_title(loc="left") == "18 of 20 are right"


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
    figure = draw_answers([Answered(image, 2, 3, 1.0), Answered(image, 1, 1, 1.0)], "", NAMES)
    above = [text.get_text() for text in figure.axes[0].texts]
    assert above == ["$1_to_$5\nnot over_$5", "golden_ret\N{HORIZONTAL ELLIPSIS}"]
    figure.savefig(tmp_path / "worst.png")
