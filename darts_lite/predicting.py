"""`predict --images`: class and probability of image files."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from darts_lite.answer import HEADER, Answer, line_of, load_answer
from darts_lite.image_files import Expected, as_expected, files_in

BATCH = 256


def run(options: argparse.Namespace) -> None:
    """Prints a line for each image, or all as JSON.

    Raises:
        ValueError, FileNotFoundError: if the checkpoint or an image cannot be used.
    """
    net, about = load_answer(options.ckpt_path, options.imports)
    answers = predictions(net, about, list(files_in(options.images)))
    if options.json:
        print(json.dumps(answers, indent=2))
        return
    print(HEADER)
    for answer in answers:
        print(line_of(answer["image"], answer["class"], answer["probability"]))


def predictions(
    net: Answer, about: Mapping[str, Any], paths: Sequence[Path]
) -> list[dict[str, Any]]:
    """For each image its path, class, probability, and the probabilities of all classes.

    Args:
        net, about: See `darts_lite.answer.load_answer`.
        paths: Of image files.
    """
    expected = Expected(len(about["mean"]), about["image_size"], about["figure"])
    names = about["class_names"]
    answers = []
    for start in range(0, len(paths), BATCH):
        part = paths[start : start + BATCH]
        pixels = torch.stack([as_expected(path, expected) for path in part])
        with torch.no_grad():
            shares = net(pixels)  # (B, classes)
        for path, row in zip(part, shares, strict=True):
            best = int(row.argmax())
            answers.append(
                {
                    "image": str(path),
                    "class": names[best] if names else best,
                    "probability": float(row[best]),
                    "probabilities": [round(share, 6) for share in row.tolist()],
                }
            )
    return answers
