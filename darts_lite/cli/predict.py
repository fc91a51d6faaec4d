"""`predict --images`: class and probability of image files."""

import argparse
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from darts_lite.data.foreground import Expected, as_expected
from darts_lite.data.image_files import files_in
from darts_lite.export.inference import Answer, load_answer

HEADER = "image,class,probability"

BATCH = 256
"""Images at once, as far as their pixels are no more than `MOST_PIXELS`."""
MOST_PIXELS = BATCH * 64**2


def run(options: argparse.Namespace) -> None:
    """Prints a line for each image, or all as JSON.

    Raises:
        ValueError, FileNotFoundError: if the checkpoint or an image cannot be used.
    """
    if not options.images:
        raise ValueError("--json needs --images; without them predict prints the test set's lines")
    net, about = load_answer(options.ckpt_path, options.imports)
    named = set(map(Path, options.images))
    answers = predictions(net, about, list(files_in(options.images)), named)
    if options.json:
        print(json.dumps(answers, indent=2))
        return
    print(HEADER)
    for answer in answers:
        print(line_of(answer["image"], answer["class"], answer["probability"]))


def predictions(
    net: Answer, about: Mapping[str, Any], paths: Sequence[Path], needed: Collection[Path] = ()
) -> list[dict[str, Any]]:
    """For each image its path, class, probability, and the probabilities of all classes.

    Args:
        net, about: See `darts_lite.load_answer`.
        paths: Of image files. One that cannot be read is left out, with a warning on standard
            error.
        needed: Of these, those that must not be left out.

    Raises:
        ValueError: if one of those, or none at all, can be read, or the net's images are no
            pictures.
    """
    expected = Expected(len(about["mean"]), about["image_size"], about["figure"])
    if expected.channels not in (1, 3):
        raise ValueError(f"this net sees {expected.channels} channels, an image file has 1 or 3")
    names = about["class_names"]
    answers = []
    batch = max(1, min(BATCH, MOST_PIXELS // expected.size**2))
    for start in range(0, len(paths), batch):
        readable = []
        for path in paths[start : start + batch]:
            try:
                readable.append((path, as_expected(path, expected)))
            except ValueError as error:
                if path in needed:
                    raise
                print(f"Warning: {error}", file=sys.stderr)
        if not readable:
            continue
        for path, seen in readable:
            if seen.doubt is not None:
                print(f"Warning: {path} {seen.doubt}; its answer means little", file=sys.stderr)
        with torch.no_grad():
            shares = net(torch.stack([seen.pixels for _, seen in readable]))  # (B, classes)
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


def line_of(image: object, label: object, probability: float) -> str:
    """One answer as a comma-separated line; see `HEADER`."""
    return f"{_quoted(image)},{_quoted(label)},{probability:.6f}"


def _quoted(value: object) -> str:
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text
