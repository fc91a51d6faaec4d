"""`predict --images`: prints class and probability of image files."""

import argparse
import csv
import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from darts_lite.data.image_files import list_files
from darts_lite.data.preparation import Preparation
from darts_lite.export.inference import Answer, load_answer
from darts_lite.retraining.recipe import SHIFTS

BATCH = 256
"""Largest number of images in a batch."""
MOST_PIXELS = BATCH * 64**2
"""Largest number of pixels in a batch, unless one image has more."""


def run(options: argparse.Namespace) -> None:
    """Prints a line for each image, or all answers as JSON."""
    if not options.images:
        raise ValueError("--json needs --images; without them predict prints the test set's lines")
    net, about = load_answer(options.ckpt_path, options.imports)
    named = set(map(Path, options.images))
    answers = predict_images(net, about, list(list_files(options.images)), named)
    print(f"Images were brought to {about['preparation'].describe()}", file=sys.stderr)
    if options.json:
        print(json.dumps(answers, indent=2))
        return
    print_table((each["image"], each["class"], each["probability"]) for each in answers)


def predict_images(
    net: Answer, about: Mapping[str, Any], paths: Sequence[Path], needed: Collection[Path] = ()
) -> list[dict[str, Any]]:
    """Returns each image's path, class, probability, and the probabilities of all classes.

    Args:
        net: What answers, from `darts_lite.load_answer`.
        about: What is known of it, likewise.
        paths: Image files; with a warning on standard error, those that cannot be read are left
            out.
        needed: Files that must not be left out.

    Raises:
        ValueError: if a needed file or all files cannot be read, or the net's images have neither
            1 nor 3 channels.
    """
    preparation: Preparation = about["preparation"]
    preparation.check_files()
    names = about["class_names"]
    answers = []
    passes = SHIFTS if net.test_shifts else 1  # of which a batch holds all at once
    batch = max(1, min(BATCH, MOST_PIXELS // preparation.size**2) // passes)
    for start in range(0, len(paths), batch):
        readable = []
        for path in paths[start : start + batch]:
            try:
                readable.append((path, preparation.read(path)))
            except ValueError as error:
                if path in needed:
                    raise
                print(f"Warning: {error}", file=sys.stderr)
        if not readable:
            continue
        for path, image in readable:
            if image.doubt is not None:
                print(f"Warning: {path} {image.doubt}; check its answer", file=sys.stderr)
        with torch.no_grad():
            shares = net(torch.stack([image.pixels for _, image in readable]))  # (B, classes)
        if not shares.isfinite().all():
            raise ValueError("the net answers with NaN, so its weights are wrong; give another net")
        for (path, _), row in zip(readable, shares, strict=True):
            best = int(row.argmax())
            answers.append(
                {
                    "image": str(path),
                    "class": names[best] if names else best,
                    "probability": round(float(row[best]), 6),
                    "probabilities": {
                        names[label] if names else str(label): round(share, 6)
                        for label, share in enumerate(row.tolist())
                    },
                }
            )
    if not answers:
        raise ValueError("none of these images can be read; name others")
    return answers


def print_table(answers: Iterable[tuple[object, object, float]]) -> None:
    """Prints the image, class and probability of each answer as CSV."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("image", "class", "probability"))
    writer.writerows((image, label, f"{share:.6f}") for image, label, share in answers)
